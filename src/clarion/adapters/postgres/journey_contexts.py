"""Private contexts of runs, sealed with their users' own keys, in the home region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.journeys.model import Context
from clarion.journeys.ports import ContextKey
from clarion.kernel.errors import Permanent

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools
    from clarion.audience.keyring import Keyring
    from clarion.audience.ports import Sealer

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Context).decode


class PostgresJourneyContexts:
    """`journeys.ports.ContextStore`."""

    def __init__(self, pools: Pools, keyring: Keyring, sealer: Sealer) -> None:
        self._pools = pools
        self._keyring = keyring
        self._sealer = sealer
        self._sql = load_queries("journey_contexts")

    async def read(self, keys: Sequence[ContextKey]) -> list[Context | None]:
        """Contexts in order; see `ContextStore.read`."""
        if not keys:
            return []
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["read_contexts"],
                [key.instance_id for key in keys],
                [key.version for key in keys],
            )
        sealed: dict[int, bytes] = {record["i"] - 1: record["sealed"] for record in records}
        opening = await self._keyring.keys({keys[i].user_id for i in sealed})
        found: list[Context | None] = [None] * len(keys)
        for i, blob in sealed.items():
            key = keys[i]
            secret = opening.get(key.user_id)
            if secret is not None:
                found[i] = self._open(secret, blob, key)
        return found

    async def write(self, entries: Sequence[tuple[ContextKey, Context]]) -> None:
        """Keep contexts; see `ContextStore.write`. Those of a user without a key are dropped: she is being erased."""
        if not entries:
            return
        secrets = await self._keyring.refetch(sorted({key.user_id for key, _ in entries}))
        rows = [
            (
                key.instance_id,
                key.version,
                key.tenant_id,
                key.user_id,
                self._sealer.seal(secrets[key.user_id], _encode(context), context_name(key)),
            )
            for key, context in sorted(entries, key=lambda one: one[0].instance_id)
            if key.user_id in secrets
        ]
        if not rows:
            return
        async with self._pools.pipeline() as connection:
            columns = [[row[i] for row in rows] for i in range(5)]
            await connection.execute(self._sql["write_contexts"], *columns)
            unused = [(key.instance_id, key.keeps) for key, _ in entries if key.keeps]
            if unused:
                await connection.execute(
                    self._sql["drop_older_contexts"], [one for one, _ in unused], [n for _, n in unused]
                )

    async def drop(self, instance_ids: Sequence[bytes]) -> None:
        """Forget all versions; see `ContextStore.drop`."""
        if instance_ids:
            async with self._pools.pipeline() as connection:
                await connection.execute(self._sql["drop_contexts"], list(instance_ids))

    async def page_old(self, after: bytes, limit: int) -> list[bytes]:
        """Runs whose contexts were written more than a day ago, by id beyond `after`. Raises Transient."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["page_old_contexts"], after, limit)
        return [record["instance_id"] for record in records]

    def _open(self, secret: bytes, blob: bytes, key: ContextKey) -> Context | None:
        try:
            return _decode(self._sealer.unseal(secret, blob, context_name(key)))
        except (Permanent, msgspec.MsgspecError):
            return None


def context_name(key: ContextKey) -> bytes:
    """What a sealed context is bound to: its run, its version, and its user."""
    return (
        b"journey"
        + key.tenant_id
        + key.user_id.to_bytes(8, "big")
        + key.instance_id
        + key.version.to_bytes(8, "big")
    )
