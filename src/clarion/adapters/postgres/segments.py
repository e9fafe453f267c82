"""Segments, and who was in them when it was last looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from clarion.adapters.postgres.queries import load_queries
from clarion.adapters.postgres.segment_sql import Statement
from clarion.audience.model import Member
from clarion.audience.segments.conditions import Condition
from clarion.audience.segments.model import Segment, SnapshotJob

if TYPE_CHECKING:
    import asyncpg

    from clarion.adapters.postgres.pools import Pools

FILL_TIMEOUT_S: Final = 600.0
"""How long the store may take to list a membership."""


class PostgresSegments:
    """`audience.segments.ports.SegmentStore`: writes on the pipeline's pool, reads under row-level security."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("segments")

    async def put(self, tenant_id: bytes, name: str, expression: str, description: str) -> Segment:
        """Make or replace a segment; see `SegmentStore.put`."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(
                self._sql["put_segment"], tenant_id, name, expression, description
            )
        return _segment(record)

    async def find(self, tenant_id: bytes, name: str) -> Segment | None:
        """One segment, or None."""
        async with self._pools.reader(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["find_segment"], name)
        return None if record is None else _segment(record)

    async def list(self, tenant_id: bytes, after: str, limit: int) -> list[Segment]:
        """The next segments by name."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["list_segments"], after, limit)
        return [_segment(record) for record in records]

    async def delete(self, tenant_id: bytes, name: str) -> bool:
        """Remove a segment with its members; see `SegmentStore.delete`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["delete_segment"], tenant_id, name))

    async def note_count(self, tenant_id: bytes, segment: Segment, members: int) -> int:
        """Keep a count; see `SegmentStore.note_count`."""
        del tenant_id  # a segment's number is nobody else's
        async with self._pools.pipeline() as connection:
            counted_ms = await connection.fetchval(
                self._sql["note_count"], segment.segment_id, segment.version, members
            )
        return int(counted_ms or 0)

    async def want(self, tenant_id: bytes, name: str) -> None:
        """Ask the worker to keep the membership anew."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["want_snapshot"], tenant_id, name)

    async def page_members(
        self, tenant_id: bytes, segment_id: int, after_user_id: int, limit: int
    ) -> Sequence[Member]:
        """The next members of the last snapshot; see `SegmentStore.page_members`."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["page_snapshot"], segment_id, after_user_id, limit)
        return [Member(*record.values()) for record in records]


class PostgresSegmentSnapshots:
    """`audience.segments.ports.SnapshotStore`, for every tenant of the region."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("segments")
        self._population = load_queries("population")

    async def take(self, lease_s: float) -> SnapshotJob | None:
        """The next membership to keep; see `SnapshotStore.take`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            record = await connection.fetchrow(self._sql["take_snapshot"], lease_s)
            if record is None:
                return None
            job = SnapshotJob(*record.values())
            kept = await connection.fetchval(self._sql["kept_snapshot"], job.segment_id)
            await connection.execute(self._sql["drop_other_snapshots"], job.segment_id, [job.snapshot, kept])
        return job

    async def add(self, job: SnapshotJob, user_ids: Sequence[int]) -> None:
        """Add members; see `SnapshotStore.add`."""
        if user_ids:
            async with self._pools.pipeline() as connection:
                await connection.execute(self._sql["add_members"], job.segment_id, job.snapshot, user_ids)

    async def fill(self, job: SnapshotJob, condition: Condition) -> None:
        """Add everybody who meets the condition; see `SnapshotStore.fill`."""
        statement = Statement(job.tenant_id)
        upper = statement.condition(condition)
        segment, snapshot = statement.value(job.segment_id), statement.value(job.snapshot)
        text = statement.finish(
            self._population["fill_members"], upper=upper, segment=segment, snapshot=snapshot
        )
        async with self._pools.pipeline() as connection:
            await connection.execute(text, *statement.values, timeout=FILL_TIMEOUT_S)

    async def report(self, job: SnapshotJob, progress: tuple[int, int], lease_s: float) -> bool:
        """Keep how far the job is; see `SnapshotStore.report`."""
        async with self._pools.pipeline() as connection:
            return bool(
                await connection.fetchval(
                    self._sql["report_snapshot"], job.segment_id, job.snapshot, *progress, lease_s
                )
            )

    async def finish(self, job: SnapshotJob) -> bool:
        """Let the new membership take the place of the last one; see `SnapshotStore.finish`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            members = await connection.fetchval(
                self._sql["finish_snapshot"], job.segment_id, job.snapshot, job.as_of_ms
            )
            if members is not None:
                await connection.execute(self._sql["drop_other_snapshots"], job.segment_id, [job.snapshot])
        return members is not None


def _segment(record: asyncpg.Record) -> Segment:
    return Segment(
        segment_id=record["segment_id"],
        name=record["name"],
        expression=record["expression"],
        description=record["description"],
        version=record["version"],
        members=record["members"],
        counted_ms=record["counted_at"] or 0,
        wanted_ms=record["wanted_at"] or 0,
        examined=record["examined"],
        candidates=record["candidates"],
        snapshot_ms=record["snapshot_at"] or 0,
        created_ms=record["created_at"],
        updated_ms=record["updated_at"],
    )
