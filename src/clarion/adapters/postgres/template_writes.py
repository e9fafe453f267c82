"""What templates and partials write, in a transaction of theirs that holds the tenant's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.ports import TemplateKey
from clarion.kernel.errors import Conflict, NotFound
from clarion.templates.model import CheckedTemplate

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

_encode: Final = msgspec.json.Encoder().encode


class Promotion(msgspec.Struct, frozen=True):
    """A change of what is live: `version` in place of `previous` (None: nothing was). `at_ms` is UTC."""

    version: int
    previous: int | None
    at_ms: int
    by: str


class TemplateWrites:
    """The writes of one transaction."""

    def __init__(self, connection: PoolConnectionProxy, tenant_id: bytes) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._sql = load_queries("templates")

    async def lock(self) -> None:
        """Keep others from saving and promoting until the transaction ends. Raises NotFound without such a tenant."""
        if not await self._connection.fetchval(self._sql["lock_tenant"], self._tenant_id):
            detail = "there is no such tenant"
            raise NotFound(detail)

    async def compare(self, name: str, checked: CheckedTemplate) -> asyncpg.Record | None:
        """The latest and the live version, each with whether it says exactly this; None where there is no version."""
        content, resolved = _encode(checked.content), _encode(checked.resolved)
        return await self._connection.fetchrow(
            self._sql["compare_saved"], self._tenant_id, name, content, resolved
        )

    async def live_version(self, name: str) -> int | None:
        """The number of the version that is sent now; None where none is."""
        return await self._connection.fetchval(self._sql["live_version"], self._tenant_id, name)

    async def outdated(self, partial: str, version: int) -> set[str]:
        """The templates whose live version a partial was put into in another version than this."""
        rows = await self._connection.fetch(
            self._sql["live_names_with_partial"], self._tenant_id, partial, version
        )
        return {row["name"] for row in rows}

    async def require_partials(self, wanted: dict[str, int]) -> None:
        """Raises Conflict where these are not the partials' latest versions (any more)."""
        if not wanted:
            return
        rows = await self._connection.fetch(self._sql["latest_partials"], self._tenant_id, list(wanted))
        if {row["name"]: row["version"] for row in rows} != wanted:
            raise Conflict("a partial that it takes was saved at the same moment; save it again")

    async def insert(self, name: str, checked: CheckedTemplate, by: str) -> int:
        """Write the next version, not live yet; its number."""
        content, resolved = checked.content, checked.resolved
        return await self._connection.fetchval(
            self._sql["insert_template"],
            self._tenant_id,
            name,
            content.category,
            _encode(content),
            checked.channels,
            checked.uses_context,
            content.data_schema is not None,
            by,
            _encode(resolved),
            sorted(resolved.partials) if resolved is not None else [],
            checked.uses_links,
        )

    async def promote(self, key: tuple[str, int], previous: int | None, by: str) -> Promotion:
        """Make a version (name, number) the live one in place of `previous`."""
        whole: TemplateKey = (self._tenant_id, *key)
        at_ms = await self._connection.fetchval(self._sql["promote"], *whole, previous, by)
        await self._connection.fetchval(self._sql["bump_config"], self._tenant_id)
        return Promotion(key[1], previous, at_ms, by)

    async def is_there(self, name: str, version: int) -> bool:
        """Whether there is such a version."""
        return bool(await self._connection.fetchval(self._sql["is_there"], self._tenant_id, name, version))
