"""Where users are at home, in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.residency import Whereabouts

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresResidency:
    """`compliance.residency.ResidencyStore`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("residency")

    async def read_residency(self, tenant_id: bytes, external_id: str) -> Whereabouts | None:
        """What is stored; see `ResidencyStore.read_residency`."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_residency"], tenant_id, external_id)
        return None if record is None else Whereabouts(*record.values())

    async def ask_residency(self, tenant_id: bytes, external_id: str, asked: str) -> bool:
        """Keep what was asked for; see `ResidencyStore.ask_residency`."""
        async with self._pools.pipeline() as connection:
            user_id = await connection.fetchval(self._sql["ask_residency"], tenant_id, external_id, asked)
        return user_id is not None
