"""How tenants want the accounts of a channel chosen. Read with the rest of a tenant's configuration (`tenants`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import NotFound

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools
    from clarion.tenancy.routing import RoutingPolicy

_encode: Final = msgspec.json.Encoder().encode


class PostgresRouting:
    """The policies of a region's tenants."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("routing")

    async def put(self, tenant_id: bytes, channel: str, policy: RoutingPolicy) -> None:
        """Make or replace a channel's policy. Raises NotFound where there is no such tenant, Transient."""
        async with self._pools.pipeline() as connection:
            version = await connection.fetchval(self._sql["put_policy"], tenant_id, channel, _encode(policy))
        if version is None:
            raise NotFound("there is no such tenant")
