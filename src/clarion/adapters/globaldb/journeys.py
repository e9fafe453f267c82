"""Journeys and their versions, on the global store."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import asyncpg
from msgspec.structs import replace

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.journeys.model import JourneyStatus
from clarion.journeys.ports import JourneyRecord, JourneyVersion
from clarion.kernel.clock import Clock
from clarion.kernel.ids import parse_id


class GlobalJourneys:
    """`journeys.ports.JourneyStore`."""

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._sql = load_queries("journeys")

    async def create(self, record: JourneyRecord, version: JourneyVersion) -> bool:
        """Keep a journey with its first version; see `JourneyStore.create`."""

        async def insert() -> bool:
            async with self._pool.acquire() as connection, connection.transaction():
                made = await connection.fetchval(
                    self._sql["create_journey"],
                    uuid.UUID(bytes=record.journey_id),
                    uuid.UUID(bytes=record.tenant_id),
                    record.name,
                    record.status,
                    version.version,
                    record.created_ms,
                    record.updated_ms,
                )
                if made is None:
                    return False
                await connection.execute(self._sql["add_version"], *_version_row(record.tenant_id, version))
                return True

        return await with_retries(insert)

    async def publish(self, record: JourneyRecord, version: JourneyVersion) -> int | None:
        """Keep the next version and make it live; see `JourneyStore.publish`."""

        async def insert() -> int | None:
            async with self._pool.acquire() as connection, connection.transaction():
                number = await connection.fetchval(
                    self._sql["go_live"],
                    uuid.UUID(bytes=record.journey_id),
                    uuid.UUID(bytes=record.tenant_id),
                    record.name,
                    version.created_ms,
                    version.version or None,
                )
                if number is not None:
                    numbered = replace(version, version=number)
                    await connection.execute(
                        self._sql["add_version"], *_version_row(record.tenant_id, numbered)
                    )
                return number

        try:
            return await with_retries(insert)
        except asyncpg.UniqueViolationError:
            return None

    async def find(self, tenant_id: bytes, name_or_id: str) -> JourneyRecord | None:
        """A tenant's journey by name or id; see `JourneyStore.find`."""
        ident = parse_id(name_or_id)
        record = await with_retries(
            lambda: self._pool.fetchrow(
                self._sql["find_journey"],
                uuid.UUID(bytes=tenant_id),
                None if ident is None else uuid.UUID(bytes=ident),
                name_or_id,
            )
        )
        return None if record is None else _journey(record)

    async def list(self, tenant_id: bytes) -> list[JourneyRecord]:
        """A tenant's journeys by name; see `JourneyStore.list`."""
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["list_journeys"], uuid.UUID(bytes=tenant_id))
        )
        return [_journey(record) for record in records]

    async def set_status(self, tenant_id: bytes, journey_id: bytes, status: JourneyStatus) -> bool:
        """Pause, resume, drain or stop; see `JourneyStore.set_status`."""
        found = await with_retries(
            lambda: self._pool.fetchval(
                self._sql["set_status"],
                uuid.UUID(bytes=tenant_id),
                uuid.UUID(bytes=journey_id),
                status,
                self._clock.now_ms(),
            )
        )
        return found is not None

    async def versions(self, keys: Sequence[tuple[bytes, int]]) -> list[JourneyVersion | None]:
        """Versions by (journey, number); see `JourneyStore.versions`."""
        records = await with_retries(
            lambda: self._pool.fetch(
                self._sql["read_versions"],
                [uuid.UUID(bytes=journey_id) for journey_id, _ in keys],
                [number for _, number in keys],
            )
        )
        found = {(record["journey_id"].bytes, record["version"]): _version(record) for record in records}
        return [found.get(key) for key in keys]

    async def history(self, tenant_id: bytes, journey_id: bytes) -> Sequence[JourneyVersion]:
        """All versions, newest first; see `JourneyStore.history`."""
        records = await with_retries(
            lambda: self._pool.fetch(
                self._sql["list_versions"], uuid.UUID(bytes=tenant_id), uuid.UUID(bytes=journey_id)
            )
        )
        return [_version(record) for record in records]


def _version_row(tenant_id: bytes, version: JourneyVersion) -> tuple[object, ...]:
    return (
        uuid.UUID(bytes=version.journey_id),
        version.version,
        uuid.UUID(bytes=tenant_id),
        version.definition.decode(),
        version.created_ms,
        version.created_by,
        version.note,
    )


def _journey(record: asyncpg.Record) -> JourneyRecord:
    journey_id, tenant_id, *rest = record
    return JourneyRecord(journey_id.bytes, tenant_id.bytes, *rest)


def _version(record: asyncpg.Record) -> JourneyVersion:
    return JourneyVersion(
        record["journey_id"].bytes,
        record["version"],
        record["definition"].encode(),
        record["created_ms"],
        record["created_by"],
        record["note"],
    )
