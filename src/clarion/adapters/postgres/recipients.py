"""The people behind the links of messages, who are known by number and not by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.subscriptions import Subscriber

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

_json = msgspec.json.Encoder()
_masks = msgspec.json.Decoder(dict[str, int])


class PostgresRecipients:
    """Reads who somebody is, and writes what she switched off, on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("recipients")

    async def find(self, tenant_id: bytes, user_id: int) -> Subscriber | None:
        """The tenant's user of this number; None where she is gone. Raises Transient."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["read_recipient"], tenant_id, user_id)
        if record is None:
            return None
        return Subscriber(
            tenant_id,
            user_id,
            record["external_id"],
            _masks.decode(record["preferences"]),
            record["language"],
        )

    async def write_preferences(self, who: Subscriber, preferences: dict[str, int]) -> None:
        """Replace what she switched off (masks by category). Raises Transient."""
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["write_preferences"], who.tenant_id, who.user_id, _json.encode(preferences)
            )
