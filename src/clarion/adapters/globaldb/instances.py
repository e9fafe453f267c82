"""Runs of journeys on the global store: the truth about where each stands."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Final

import asyncpg
import msgspec

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.contracts.journey_events import JourneyEvent, encode_journey_events
from clarion.journeys.model import Instance, Moved, Progress
from clarion.journeys.ports import Entered, NewRun, RunFilter, StepCount
from clarion.kernel.ids import make_ids

DAY_MS: Final = 86_400_000
DETAILED: Final = frozenset({"goal", "exited", "stopped", "failed"})
"""Kinds of events that are counted by their detail too; details of steps are results of few values."""

ENTRY_ATTEMPTS: Final = 3
"""How often an entry is tried whose slot was taken when it was written, and free when it was looked at."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Progress).decode


class GlobalInstances:
    """`journeys.ports.InstanceStore`."""

    def __init__(self, pool: asyncpg.Pool, region: str) -> None:
        self._pool = pool
        self._region = region
        self._sql = load_queries("journey_instances")

    async def enter(self, runs: Sequence[NewRun]) -> list[Entered]:
        """Begin runs; see `InstanceStore.enter`. One statement, and a second one for those that began none."""
        entered: dict[bytes, Entered] = {}
        # In one order everywhere: two batches that meet on some users do not wait for each other in a circle.
        left = sorted(
            runs, key=lambda run: (run.instance.tenant_id, run.instance.journey_id, run.instance.user_id)
        )
        for attempt in range(ENTRY_ATTEMPTS):
            begun = await self._insert(left)
            entered |= {ident: Entered("created", ident) for ident in begun}
            others = [run for run in left if run.instance.instance_id not in begun]
            standing = await self._find_standing(others) if others else {}
            left = [
                run for run in others if _is_worth_another(run, standing) and attempt < ENTRY_ATTEMPTS - 1
            ]
            entered |= standing
            if not left:
                break
        return [entered[run.instance.instance_id] for run in runs]

    async def _insert(self, runs: Sequence[NewRun]) -> set[bytes]:
        """The ids of the runs that began.

        What looks at earlier runs is serializable: none may begin unseen meanwhile. The others need no more than one
        statement, and are spared two round trips.
        """
        statement, columns = self._sql["enter_runs"], _new_columns(runs)

        async def insert_alone() -> list[asyncpg.Record]:
            async with self._pool.acquire() as connection, connection.transaction(isolation="serializable"):
                return await connection.fetch(statement, *columns)

        async def insert() -> list[asyncpg.Record]:
            return await self._pool.fetch(statement, *columns)

        looks_back = any(run.once or run.not_since_ms for run in runs)
        records = await with_retries(insert_alone if looks_back else insert)
        return {record["instance_id"].bytes for record in records}

    async def _find_standing(self, runs: Sequence[NewRun]) -> dict[bytes, Entered]:
        columns = (
            [uuid.UUID(bytes=run.instance.tenant_id) for run in runs],
            [uuid.UUID(bytes=run.instance.journey_id) for run in runs],
            [run.instance.user_id for run in runs],
            [run.entry_key for run in runs],
            [run.slot for run in runs],
        )
        records = await with_retries(lambda: self._pool.fetch(self._sql["find_entries"], *columns))
        standing = {int(record["n"]): _standing(record) for record in records}
        return {run.instance.instance_id: standing[n] for n, run in enumerate(runs, 1)}

    async def load(self, instance_ids: Sequence[bytes]) -> list[Instance | None]:
        """Runs by id; see `InstanceStore.load`."""
        idents = [uuid.UUID(bytes=ident) for ident in instance_ids]
        records = await with_retries(lambda: self._pool.fetch(self._sql["load_runs"], idents))
        found = {record["instance_id"].bytes: read_instance(record) for record in records}
        return [found.get(ident) for ident in instance_ids]

    async def commit(self, moves: Sequence[Moved]) -> list[bool]:
        """Write transitions; see `InstanceStore.commit`. One transaction of two statements."""
        if not moves:
            return []
        # In one order everywhere: two workers that meet on some runs do not wait for each other in a circle.
        instances: list[Instance] = [move.instance for move in moves]
        ordered = sorted(instances, key=lambda one: one.instance_id)
        columns = _moved_columns(ordered)

        async def write() -> set[bytes]:
            async with self._pool.acquire() as connection, connection.transaction():
                records = await connection.fetch(self._sql["move_runs"], *columns)
                won: set[bytes] = {record["instance_id"].bytes for record in records}
                events = [event for move in moves for event in move.events if event.instance_id in won]
                if events:
                    await connection.execute(self._sql["tell"], *self._told(events))
                return won

        won = await with_retries(write)
        return [move.instance.instance_id in won for move in moves]

    async def active_of(self, tenant_id: bytes, user_ids: Sequence[int]) -> list[Instance]:
        """All active runs of these users; see `InstanceStore.active_of`."""
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["active_runs"], uuid.UUID(bytes=tenant_id), list(user_ids))
        )
        return [read_instance(record) for record in records]

    async def page_active(self, region: str, after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
        """(id, due, seq) of active runs by id; see `InstanceStore.page_active`."""
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["page_active"], region, uuid.UUID(bytes=after), limit)
        )
        return [(record["instance_id"].bytes, record["due_ms"], record["seq"]) for record in records]

    def _told(self, events: Sequence[JourneyEvent]) -> tuple[Any, ...]:
        """The parameters of `tell`."""
        counts: dict[tuple[bytes, bytes, int, int, str, str], list[int]] = {}
        for event in events:
            for what in _counted(event):
                key = (
                    event.tenant_id,
                    event.journey_id,
                    event.version,
                    event.at_ms // DAY_MS,
                    event.step,
                    what,
                )
                sums = counts.setdefault(key, [0, 0])
                sums[0] += 1
                sums[1] += event.took_ms
        rows = sorted(counts.items())
        return (
            [uuid.UUID(bytes=key[0]) for key, _ in rows],
            [uuid.UUID(bytes=key[1]) for key, _ in rows],
            [key[2] for key, _ in rows],
            [key[3] for key, _ in rows],
            [key[4] for key, _ in rows],
            [key[5] for key, _ in rows],
            [sums[0] for _, sums in rows],
            [sums[1] for _, sums in rows],
            uuid.UUID(bytes=make_ids(1, events[0].at_ms)),
            self._region,
            len(events),
            encode_journey_events(list(events)),
        )


class GlobalRuns:
    """Runs and their counts, as people look at them."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._sql = load_queries("journey_instances")

    async def find(self, tenant_id: bytes, journey_id: bytes, instance_id: bytes) -> Instance | None:
        """A tenant's run of a journey, or None. Raises Transient."""
        idents = (uuid.UUID(bytes=instance_id), uuid.UUID(bytes=tenant_id), uuid.UUID(bytes=journey_id))
        record = await with_retries(lambda: self._pool.fetchrow(self._sql["find_run"], *idents))
        return None if record is None else read_instance(record)

    async def page(
        self, tenant_id: bytes, journey_id: bytes, wanted: RunFilter, before: bytes, limit: int
    ) -> list[Instance]:
        """Runs of a journey older than `before`, newest first. Raises Transient."""
        records = await with_retries(
            lambda: self._pool.fetch(
                self._sql["page_runs"],
                uuid.UUID(bytes=tenant_id),
                uuid.UUID(bytes=journey_id),
                uuid.UUID(bytes=before),
                wanted.user_id,
                wanted.status,
                wanted.step,
                limit,
            )
        )
        return [read_instance(record) for record in records]

    async def standing(
        self, tenant_id: bytes, journey_id: bytes, *, is_test: bool | None = None
    ) -> list[tuple[int, str, int]]:
        """(version, step, active runs there), by version and step; `is_test` None: of both kinds. Raises Transient."""
        idents = (uuid.UUID(bytes=tenant_id), uuid.UUID(bytes=journey_id))
        records = await with_retries(lambda: self._pool.fetch(self._sql["count_standing"], *idents, is_test))
        return [(record["version"], record["step"], record["runs"]) for record in records]

    async def page_active(self, journey_id: bytes, after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
        """(id, due, seq) of a journey's active runs by id, beyond `after`. Raises Transient."""
        idents = (uuid.UUID(bytes=journey_id), uuid.UUID(bytes=after))
        records = await with_retries(
            lambda: self._pool.fetch(self._sql["page_active_of_journey"], *idents, limit)
        )
        return [(record["instance_id"].bytes, record["due_ms"], record["seq"]) for record in records]

    async def counts(self, tenant_id: bytes, journey_id: bytes, days: tuple[int, int]) -> list[StepCount]:
        """What happened at the steps from one day to another (days since 1970, inclusive). Raises Transient."""
        idents = (uuid.UUID(bytes=tenant_id), uuid.UUID(bytes=journey_id))
        records = await with_retries(lambda: self._pool.fetch(self._sql["read_counts"], *idents, *days))
        return [StepCount(*record) for record in records]


def _counted(event: JourneyEvent) -> Iterable[str]:
    """Under which words an event is counted. Test runs are counted beside, under words of their own."""
    prefix = "test:" if event.is_test else ""
    yield f"{prefix}{event.type}"
    if event.detail and (event.type in DETAILED or event.type == "step_done"):
        yield f"{prefix}{event.type}:{event.detail[:100]}"


def _new_columns(runs: Sequence[NewRun]) -> tuple[list[Any], ...]:
    instances = [run.instance for run in runs]
    return (
        [uuid.UUID(bytes=one.instance_id) for one in instances],
        [uuid.UUID(bytes=one.tenant_id) for one in instances],
        [uuid.UUID(bytes=one.journey_id) for one in instances],
        [one.version for one in instances],
        [one.user_id for one in instances],
        [one.region for one in instances],
        [one.is_test for one in instances],
        [run.entry_key for run in runs],
        [run.slot for run in runs],
        [one.step for one in instances],
        [one.due_ms for one in instances],
        [_encode(one.progress) for one in instances],
        [one.context_version for one in instances],
        [one.entered_ms for one in instances],
        [run.once for run in runs],
        [run.not_since_ms for run in runs],
    )


def _moved_columns(moved: Sequence[Instance]) -> tuple[list[Any], ...]:
    return (
        [uuid.UUID(bytes=one.instance_id) for one in moved],
        [one.version for one in moved],
        [one.status for one in moved],
        [one.seq for one in moved],
        [one.step for one in moved],
        [one.due_ms for one in moved],
        [_encode(one.progress) for one in moved],
        [one.context_version for one in moved],
        [one.ended_ms for one in moved],
        [one.reason for one in moved],
    )


def _is_worth_another(run: NewRun, standing: dict[bytes, Entered]) -> bool:
    """Whether a run kept this one out that has ended since: no policy forbids it."""
    return standing[run.instance.instance_id].result == "refused" and not (run.once or run.not_since_ms)


def _standing(record: asyncpg.Record) -> Entered:
    if record["repeated"] is not None:
        return Entered("repeat", record["repeated"].bytes)
    if record["present"] is not None:
        return Entered("existing", record["present"].bytes)
    return Entered("refused", b"")


def read_instance(record: asyncpg.Record) -> Instance:
    """A row of `journey_instances` with all that a run is."""
    return Instance(
        instance_id=record["instance_id"].bytes,
        tenant_id=record["tenant_id"].bytes,
        journey_id=record["journey_id"].bytes,
        version=record["version"],
        user_id=record["user_id"],
        region=record["region"],
        is_test=record["is_test"],
        status=record["status"],
        seq=record["seq"],
        step=record["step"],
        due_ms=record["due_ms"],
        progress=_decode(record["progress"]),
        context_version=record["context_version"],
        entered_ms=record["entered_ms"],
        ended_ms=record["ended_ms"],
        reason=record["reason"],
    )
