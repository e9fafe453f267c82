"""How tenants' decisions learn. Read with the rest of a tenant's configuration (`tenants.load_config`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import NotFound
from clarion.tenancy.model import MlSettings

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

_encode = msgspec.json.Encoder().encode


class PostgresMlSettings:
    """Writes what a tenant chose, or what the proof of a feature chose for it."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_settings")

    async def put(self, tenant_id: bytes, settings: MlSettings) -> None:
        """Say how a tenant's decisions learn. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            version = await connection.fetchval(self._sql["put"], tenant_id, _encode(settings))
        if version is None:
            raise NotFound("there is no such tenant")
