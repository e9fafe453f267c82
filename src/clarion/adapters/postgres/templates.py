"""Every version of every template. None is ever changed: a delivery is rendered with the one it was accepted with."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.ports import TemplateKey
from clarion.kernel.errors import NotFound
from clarion.templates.model import CheckedTemplate, TemplateContent, TemplateVersion

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

KNOWN_VERSIONS: Final = 1000
"""How many versions a process keeps; past this it forgets those that it read first. A part has at most 64 KB, most
have a tenth of that."""

_json = msgspec.json.Encoder()
_content = msgspec.json.Decoder(TemplateContent)


class PostgresTemplates:
    """The templates of a region's tenants, and `delivery.ports.TemplateReader`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("templates")
        self._known: dict[TemplateKey, TemplateVersion] = {}

    async def save(self, tenant_id: bytes, name: str, checked: CheckedTemplate) -> int:
        """Keep the content as the next version; its number. Content that is the latest already makes no new one.

        Raises NotFound where there is no such tenant.
        """
        content, category = _json.encode(checked.content), checked.content.category
        async with self._pools.pipeline() as connection, connection.transaction():
            latest = await connection.fetchrow(self._sql["latest_is"], tenant_id, name, category, content)
            if latest is not None and latest["same"]:
                return latest["version"]
            if not await connection.fetchval(self._sql["bump_config"], tenant_id):
                detail = "there is no such tenant"
                raise NotFound(detail)
            return await connection.fetchval(
                self._sql["insert_template"],
                tenant_id,
                name,
                category,
                content,
                checked.channels,
                checked.uses_context,
            )

    async def get(self, tenant_id: bytes, name: str, version: int | None = None) -> TemplateVersion | None:
        """One version of a template, the latest by default; None where there is none."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_template"], name, version)
        return None if record is None else _version(record)

    async def list_latest(self, tenant_id: bytes) -> list[TemplateVersion]:
        """The latest version of each of a tenant's templates, by name."""
        async with self._pools.reader(tenant_id) as connection:
            return [_version(record) for record in await connection.fetch(self._sql["list_templates"])]

    async def read(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """Versions by key, from memory or with one query; those that do not exist are absent. Raises Transient."""
        found = {key: version for key in keys if (version := self._known.get(key)) is not None}
        missing = [key for key in keys if key not in found]
        return found | await self._fetch(missing) if missing else found

    async def _fetch(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        tenants, names, versions = zip(*keys, strict=True)
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["fetch_templates"], tenants, names, versions)
        fetched = {(r["tenant_id"], r["name"], r["version"]): _version(r) for r in records}
        if len(self._known) + len(fetched) > KNOWN_VERSIONS:
            self._known = dict(list(self._known.items())[KNOWN_VERSIONS // 2 :])
        self._known |= fetched
        return fetched


def _version(record: asyncpg.Record) -> TemplateVersion:
    return TemplateVersion(
        record["name"],
        record["version"],
        _content.decode(record["content"]),
        record["channels"],
        record["uses_context"],
    )
