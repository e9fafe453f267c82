"""Every version of every template. None is ever changed: a delivery is rendered with the one it was accepted with.

What is accepted takes the live version; which one that is moves by saving as live, and by promoting.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.template_writes import Promotion, TemplateWrites
from clarion.delivery.ports import TemplateKey
from clarion.templates.model import CheckedTemplate, ResolvedContent, TemplateContent, TemplateVersion

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

LIVE: Final = "live"
MAX_PROMOTIONS: Final = 100
"""Latest changes of what is live that are shown."""

_content = msgspec.json.Decoder(TemplateContent)
_resolved = msgspec.json.Decoder(ResolvedContent | None)


class Saving(msgspec.Struct, frozen=True):
    """How a version is saved: as what is sent from now on (`live`), or as a draft. `by`: who saves it."""

    live: bool = True
    by: str = ""


class Saved(msgspec.Struct, frozen=True):
    """What a save came to. `live` is the live version's number now (None: none); `is_new`: it made a version."""

    version: int
    live: int | None
    is_new: bool


class VersionRecord(msgspec.Struct, frozen=True):
    """A version without its content. `created_ms` is UTC."""

    version: int
    category: str
    channels: int
    has_schema: bool
    created_ms: int
    created_by: str
    is_live: bool


class TemplateRecord(msgspec.Struct, frozen=True):
    """A template: its latest version without its content, and which is live (None: none yet)."""

    name: str
    version: int
    category: str
    channels: int
    has_schema: bool
    live: int | None


class PostgresTemplates:
    """The templates of a region's tenants, and `delivery.template_cache.TemplateStore`."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("templates")

    async def save(
        self, tenant_id: bytes, name: str, checked: CheckedTemplate, saving: Saving | None = None
    ) -> Saved:
        """Keep the content as the next version. Content that is the latest, or the live one already, makes no new one.

        Saved as live, that version is the live one afterwards; saved as a draft, what is live stays.
        Raises NotFound where there is no such tenant, Conflict where a partial that it takes was saved meanwhile.
        """
        how = saving or Saving()
        async with self._pools.pipeline() as connection, connection.transaction():
            writes = TemplateWrites(connection, tenant_id)
            await writes.lock()
            await writes.require_partials(checked.resolved.partials if checked.resolved else {})
            known = await writes.compare(name, checked)
            live = None if known is None else known["live"]
            version = None if known is None else _unchanged(known, how)
            is_new = version is None
            if version is None:
                version = await writes.insert(name, checked, how.by)
            if how.live and version != live:
                await writes.promote((name, version), live, how.by)
                live = version
        return Saved(version, live, is_new)

    async def promote(self, tenant_id: bytes, name: str, version: int, by: str) -> Promotion | None:
        """Make a version the live one, at once; None where there is none of that number.

        What is live already stays so, and nothing is written: the answer is then the promotion that it had.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            writes = TemplateWrites(connection, tenant_id)
            await writes.lock()
            if not await writes.is_there(name, version):
                return None
            live = await writes.live_version(name)
            if live != version:
                return await writes.promote((name, version), live, by)
        latest = await self.list_promotions(tenant_id, name, 1)
        return latest[0] if latest else Promotion(version, None, 0, "")

    async def get(
        self, tenant_id: bytes, name: str, version: int | Literal["live"] | None = None
    ) -> TemplateVersion | None:
        """One version of a template, the latest by default; None where there is none."""
        async with self._pools.reader(tenant_id) as connection:
            if version == LIVE:
                record = await connection.fetchrow(self._sql["read_live_template"], name)
            else:
                record = await connection.fetchrow(self._sql["read_template"], name, version)
        return None if record is None else _version(record)

    async def find_live(self, tenant_id: bytes, name: str) -> int | None:
        """The number of the version that is sent now; None where none is."""
        async with self._pools.reader(tenant_id) as connection:
            return await connection.fetchval(self._sql["live_version"], tenant_id, name)

    async def list_versions(
        self, tenant_id: bytes, name: str, *, before: int = 2**31 - 1, limit: int = 100
    ) -> list[VersionRecord]:
        """At most `limit` versions of a template with a number below `before`, newest first."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_versions"], name, before, limit)
        return [
            VersionRecord(
                r["version"],
                r["category"],
                r["channels"],
                r["has_schema"],
                r["created_at"],
                r["created_by"],
                bool(r["is_live"]),
            )
            for r in records
        ]

    async def list_promotions(
        self, tenant_id: bytes, name: str, limit: int = MAX_PROMOTIONS
    ) -> list[Promotion]:
        """The last changes of what is live, newest first."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_promotions"], name, limit)
        return [Promotion(r["version"], r["previous"], r["promoted_at"], r["promoted_by"]) for r in records]

    async def list_latest(self, tenant_id: bytes) -> list[TemplateRecord]:
        """Each of a tenant's templates, by name."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_templates"])
        return [
            TemplateRecord(r["name"], r["version"], r["category"], r["channels"], r["has_schema"], r["live"])
            for r in records
        ]

    async def list_taking(self, tenant_id: bytes, partial: str) -> list[TemplateVersion]:
        """The live versions that a partial was put into, itself or through others, by name."""
        async with self._pools.reader(tenant_id) as connection:
            return [_version(r) for r in await connection.fetch(self._sql["live_with_partial"], partial)]

    async def fetch(self, refs: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """Versions by reference, with one query; those that do not exist are absent. Raises Transient."""
        if not refs:
            return {}
        tenants, names, versions = zip(*refs, strict=True)
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["fetch_templates"], tenants, names, versions)
        return {(r["tenant_id"], r["name"], r["version"]): _version(r) for r in records}


def _unchanged(known: asyncpg.Record, how: Saving) -> int | None:
    """The version that says already what is to be saved, where one does that could stand for it."""
    if known["latest_same"]:
        return known["latest"]
    return known["live"] if how.live and known["live_same"] else None


def _version(record: asyncpg.Record) -> TemplateVersion:
    return TemplateVersion(
        record["name"],
        record["version"],
        _content.decode(record["content"]),
        record["channels"],
        record["uses_context"],
        record["uses_links"],
        None if record["resolved"] is None else _resolved.decode(record["resolved"]),
    )
