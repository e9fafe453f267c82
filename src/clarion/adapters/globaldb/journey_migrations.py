"""Migrations of runs to other versions, on the global store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.instances import read_instance
from clarion.adapters.globaldb.store import load_queries
from clarion.journeys.migrate import Stand
from clarion.journeys.migrations import MigrationRecord, MigrationStatus, PlanNote
from clarion.journeys.model import Instance

_encode_plan: Final = msgspec.json.Encoder().encode
_decode_plan: Final = msgspec.json.Decoder(PlanNote).decode
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Stand).decode


class GlobalMigrations:
    """`journeys.migrations.MigrationStore`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = load_queries("journey_migrations")

    async def create(self, record: MigrationRecord) -> bool:
        """Keep a migration that is to be carried out; see `MigrationStore.create`."""

        async def insert() -> bool:
            # Serializable: of two that begin at once neither sees the other.
            async with self._pool.acquire() as connection, connection.transaction(isolation="serializable"):
                made = await connection.fetchval(
                    self._sql["create_migration"],
                    uuid.UUID(bytes=record.migration_id),
                    uuid.UUID(bytes=record.tenant_id),
                    uuid.UUID(bytes=record.journey_id),
                    record.from_version,
                    record.to_version,
                    _encode_plan(record.plan).decode(),
                    record.percent,
                    record.created_ms,
                )
            return made is not None

        return await with_retries(insert)

    async def list(self, tenant_id: bytes, journey_id: bytes) -> Sequence[MigrationRecord]:
        """A journey's migrations, newest first; see `MigrationStore.list`."""
        idents = (uuid.UUID(bytes=tenant_id), uuid.UUID(bytes=journey_id))
        records = await with_retries(lambda: self._pool.fetch(self._sql["list_migrations"], *idents))
        return [_migration(record) for record in records]

    async def find(self, tenant_id: bytes, journey_id: bytes, migration_id: bytes) -> MigrationRecord | None:
        """One migration; see `MigrationStore.find`."""
        idents = [uuid.UUID(bytes=ident) for ident in (tenant_id, journey_id, migration_id)]
        record = await with_retries(lambda: self._pool.fetchrow(self._sql["find_migration"], *idents))
        return None if record is None else _migration(record)

    async def roll_back(self, record: MigrationRecord, now_ms: int) -> bool:
        """Have it taken back; see `MigrationStore.roll_back`."""
        idents = (uuid.UUID(bytes=record.migration_id), uuid.UUID(bytes=record.journey_id))

        async def update() -> bool:
            async with self._pool.acquire() as connection, connection.transaction(isolation="serializable"):
                return await connection.fetchval(self._sql["roll_back"], *idents, now_ms) is not None

        return await with_retries(update)


class GlobalMoves:
    """`journeys.migrations.MoveStore`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = load_queries("journey_migrations")

    async def under_way(self) -> list[MigrationRecord]:
        """Migrations that are to be carried out; see `MoveStore.under_way`."""
        records = await with_retries(lambda: self._pool.fetch(self._sql["under_way"]))
        return [_migration(record) for record in records]

    async def page(self, journey_id: bytes, version: int, after: bytes, limit: int) -> list[Instance]:
        """A version's active runs by id; see `MoveStore.page`."""
        asked = (uuid.UUID(bytes=journey_id), version, uuid.UUID(bytes=after), limit)
        records = await with_retries(lambda: self._pool.fetch(self._sql["page_version"], *asked))
        return [read_instance(record) for record in records]

    async def keep(self, migration_id: bytes, stands: Sequence[tuple[bytes, Stand]]) -> None:
        """Keep what takes runs back; see `MoveStore.keep`."""
        columns = (
            [uuid.UUID(bytes=ident) for ident, _ in stands],
            [_encode(stand) for _, stand in stands],
        )
        await with_retries(
            lambda: self._pool.execute(self._sql["keep_moves"], uuid.UUID(bytes=migration_id), *columns)
        )

    async def read(self, migration_id: bytes, instance_ids: Sequence[bytes]) -> dict[bytes, Stand]:
        """What takes these runs back; see `MoveStore.read`."""
        idents = [uuid.UUID(bytes=ident) for ident in instance_ids]
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["read_moves"], uuid.UUID(bytes=migration_id), idents)
        )
        return {record["instance_id"].bytes: _decode(record["undo"]) for record in records}

    async def count(self, migration_id: bytes, moved: int, now_ms: int) -> None:
        """Add to the runs that were moved; see `MoveStore.count`."""
        ident = uuid.UUID(bytes=migration_id)
        await with_retries(lambda: self._pool.execute(self._sql["count_moved"], ident, moved, now_ms))

    async def finish(self, record: MigrationRecord, status: MigrationStatus, left: int, now_ms: int) -> None:
        """Close a migration; see `MoveStore.finish`."""
        ident = uuid.UUID(bytes=record.migration_id)
        await with_retries(
            lambda: self._pool.execute(self._sql["finish"], ident, record.status, status, left, now_ms)
        )


def _migration(record: asyncpg.Record) -> MigrationRecord:
    return MigrationRecord(
        migration_id=record["migration_id"].bytes,
        tenant_id=record["tenant_id"].bytes,
        journey_id=record["journey_id"].bytes,
        from_version=record["from_version"],
        to_version=record["to_version"],
        plan=_decode_plan(record["plan"]),
        status=record["status"],
        percent=record["percent"],
        moved=record["moved"],
        left_alone=record["left_alone"],
        created_ms=record["created_ms"],
        updated_ms=record["updated_ms"],
    )
