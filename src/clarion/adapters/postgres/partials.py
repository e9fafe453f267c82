"""Every version of every partial, and the templates that were made anew with one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.template_writes import TemplateWrites
from clarion.kernel.errors import Conflict
from clarion.templates.model import CheckedTemplate, PartialContent, PartialVersion

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

_json = msgspec.json.Encoder()
_content = msgspec.json.Decoder(PartialContent)


class Remade(msgspec.Struct, frozen=True):
    """A template whose live version took the partial, as it is with the new one. `live`: that version's number."""

    name: str
    live: int
    checked: CheckedTemplate


class PartialSaving(msgspec.Struct, frozen=True):
    """A partial's next version (or its latest again), who saves it, and what becomes live anew with it.

    `remade`: all live templates that take it in another version; None: they stay as they are.
    """

    partial: PartialVersion
    by: str
    remade: Sequence[Remade] | None = None


class PartialRecord(msgspec.Struct, frozen=True):
    """A partial without its content, as of its latest version. `created_ms` is UTC."""

    name: str
    version: int
    created_ms: int
    created_by: str


class PostgresPartials:
    """The partials of a region's tenants."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("partials")

    async def save(self, tenant_id: bytes, saving: PartialSaving) -> dict[str, int]:
        """Write a partial's version and, in the same transaction, those of the templates that take it.

        The templates' new versions by name; they are live. Raises Conflict, and writes nothing, where the partial or
        one of the templates was saved meanwhile; NotFound where there is no such tenant.
        """
        partial = saving.partial
        async with self._pools.pipeline() as connection, connection.transaction():
            writes = TemplateWrites(connection, tenant_id)
            await writes.lock()
            await self._insert(connection, tenant_id, saving)
            if saving.remade is None:
                return {}
            if await writes.outdated(partial.name, partial.version) != {r.name for r in saving.remade}:
                raise Conflict("a template that takes this partial was saved at the same moment; save again")
            return {remade.name: await _make_live(writes, remade, saving.by) for remade in saving.remade}

    async def _insert(self, connection: PoolConnectionProxy, tenant_id: bytes, saving: PartialSaving) -> None:
        """Write the version, unless it is there and says the same. Raises Conflict where another took its number."""
        partial = saving.partial
        content = _json.encode(partial.content)
        known = await connection.fetchrow(self._sql["latest_is"], tenant_id, partial.name, content)
        latest = 0 if known is None else known["version"]
        if known is not None and known["same"] and latest == partial.version:
            return
        if partial.version != latest + 1:
            raise Conflict("somebody saved this partial at the same moment; look at it, and save again")
        await connection.execute(
            self._sql["insert_partial"], tenant_id, partial.name, partial.version, content, saving.by
        )

    async def get(self, tenant_id: bytes, name: str, version: int | None = None) -> PartialVersion | None:
        """One version of a partial, the latest by default; None where there is none."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_partial"], name, version)
        return None if record is None else _partial(record)

    async def fetch(self, tenant_id: bytes, names: Collection[str]) -> dict[str, PartialVersion]:
        """The latest versions by name, with one query; those that do not exist are absent."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["fetch_partials"], list(names))
        return {record["name"]: _partial(record) for record in records}

    async def fetch_versions(self, tenant_id: bytes, taken: Mapping[str, int]) -> dict[str, PartialVersion]:
        """Partials by name, each in the version that is asked for, with one query."""
        if not taken:
            return {}
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["fetch_versions"], list(taken), list(taken.values()))
        return {record["name"]: _partial(record) for record in records}

    async def list_latest(self, tenant_id: bytes) -> list[PartialRecord]:
        """Each of a tenant's partials, by name."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_partials"])
        return [PartialRecord(r["name"], r["version"], r["created_at"], r["created_by"]) for r in records]


async def _make_live(writes: TemplateWrites, remade: Remade, by: str) -> int:
    if await writes.live_version(remade.name) != remade.live:
        raise Conflict(f"template {remade.name!r} was saved at the same moment; save the partial again")
    version = await writes.insert(remade.name, remade.checked, by)
    await writes.promote((remade.name, version), remade.live, by)
    return version


def _partial(record: asyncpg.Record) -> PartialVersion:
    return PartialVersion(record["name"], record["version"], _content.decode(record["content"]))
