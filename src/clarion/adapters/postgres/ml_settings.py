"""How tenants' decisions learn. Read with the rest of a tenant's configuration (`tenants.load_config`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.kernel.errors import Conflict, NotFound
from clarion.tenancy.model import MlSettings

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

SYSTEM: Final = "system"
"""Who writes where the proof of a feature chose."""

HISTORY: Final = 100
"""Settings from before that are shown."""

_encode: Final = msgspec.json.Encoder().encode
_settings: Final = msgspec.json.Decoder(MlSettings)


class PastSettings(msgspec.Struct, frozen=True):
    """Settings that were replaced. `replaced_ms`: UTC ms; `replaced_by`: the actor, as the audit log names it."""

    version: int
    settings: MlSettings
    replaced_ms: int
    replaced_by: str


class PostgresMlSettings:
    """Writes what a tenant chose, or what the proof of a feature chose for it."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_settings")

    async def put(self, tenant_id: bytes, settings: MlSettings, by: str, expected: int | None = None) -> int:
        """Say how a tenant's decisions learn; the new version. What was before is kept, with who replaced it.

        `expected`: write over this version only. Raises Conflict where another is there, NotFound without the tenant.
        """
        async with self._pools.pipeline() as connection:
            version = await connection.fetchval(self._sql["put"], tenant_id, _stored(settings), expected, by)
        if version is None:
            _, current = await self.current(tenant_id)
            raise Conflict(f"the settings are those of version {current}: look at them first")
        return int(version)

    async def current(self, tenant_id: bytes) -> tuple[MlSettings, int]:
        """The settings as they are stored, and their version. Raises NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            row = await connection.fetchrow(self._sql["current"], tenant_id)
        if row is None:
            raise NotFound("there is no such tenant")
        return _settings.decode(row["ml"]), row["ml_version"]

    async def history(self, tenant_id: bytes) -> list[PastSettings]:
        """The settings from before, latest first, at most `HISTORY`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["history"], tenant_id, HISTORY)
        return [
            PastSettings(
                row["version"], _settings.decode(row["settings"]), row["replaced_at"], row["replaced_by"]
            )
            for row in rows
        ]


def _stored(settings: MlSettings) -> bytes:
    """Settings as JSON. The release before reads them too, and refuses a field that it does not know (`off`)."""
    fields: dict[str, object] = msgspec.to_builtins(settings)
    if not settings.off:
        del fields["off"]
    return _encode(fields)
