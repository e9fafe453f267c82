"""Every version of every template. None is ever changed: a delivery is rendered with the one it was accepted with."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.ports import TemplateKey
from clarion.kernel.errors import NotFound
from clarion.templates.model import CheckedTemplate, TemplateContent, TemplateVersion

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

_json = msgspec.json.Encoder()
_content = msgspec.json.Decoder(TemplateContent)


class PostgresTemplates:
    """The templates of a region's tenants, and `delivery.template_cache.TemplateStore`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("templates")

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

    async def list_versions(self, tenant_id: bytes, name: str) -> list[tuple[int, int]]:
        """The versions of a template, newest first: number and when it was saved (UTC ms)."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_versions"], name)
        return [(record["version"], record["created_at"]) for record in records]

    async def list_latest(self, tenant_id: bytes) -> list[TemplateVersion]:
        """The latest version of each of a tenant's templates, by name."""
        async with self._pools.reader(tenant_id) as connection:
            return [_version(record) for record in await connection.fetch(self._sql["list_templates"])]

    async def fetch(self, refs: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """Versions by reference, with one query; those that do not exist are absent. Raises Transient."""
        if not refs:
            return {}
        tenants, names, versions = zip(*refs, strict=True)
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["fetch_templates"], tenants, names, versions)
        return {(r["tenant_id"], r["name"], r["version"]): _version(r) for r in records}


def _version(record: asyncpg.Record) -> TemplateVersion:
    return TemplateVersion(
        record["name"],
        record["version"],
        _content.decode(record["content"]),
        record["channels"],
        record["uses_context"],
    )
