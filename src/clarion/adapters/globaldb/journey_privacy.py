"""What the global store holds of users' runs: to be erased, to be exported, and to be dropped when it is old.

Rows of runs hold ids, names of steps and of events, and times. What a run knows that may be personal is in its home
region, sealed (`adapters.postgres.journey_contexts`).
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import asyncpg
import msgspec
from msgspec.structs import replace

from clarion.adapters.globaldb.errors import with_retries
from clarion.adapters.globaldb.store import load_queries
from clarion.compliance.ports import DataSubject, Held
from clarion.contracts.journey_events import JourneyEvent, derive_journey_event_id
from clarion.journeys.model import Instance, Moved, Progress, Trail
from clarion.journeys.ports import FORGET, Planned
from clarion.kernel.clock import Clock
from clarion.kernel.ids import make_ids

ERASED: Final = "erased"
PORTION: Final = 500

_EMPTY: Final = msgspec.msgpack.encode(Progress())
_progress: Final = msgspec.msgpack.Decoder(Progress).decode


class Runs(Protocol):
    """The part of `journeys.ports.InstanceStore` that ends runs."""

    async def active_of(self, tenant_id: bytes, user_ids: Sequence[int]) -> list[Instance]:
        """All active runs of these users. Raises Transient."""
        ...

    async def commit(self, moves: Sequence[Moved]) -> list[bool]:
        """Write transitions of runs that nobody has moved meanwhile. Raises Transient."""
        ...


class Planner(Protocol):
    """The part of `journeys.ports.Continuations` that forgets runs."""

    async def schedule(self, planned: Sequence[Planned]) -> None:
        """Set due times. Raises Transient."""
        ...


class RunTarget:
    """`compliance.ports.ErasureTarget` of runs: hers end where they stand, and what they say of her goes."""

    def __init__(self, pool: asyncpg.Pool, runs: Runs, planner: Planner, clock: Clock) -> None:
        self._pool = pool
        self._runs = runs
        self._planner = planner
        self._clock = clock
        self._wipe = load_queries("journey_privacy")["wipe_runs"]

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "global.journeys"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """End and wipe them; see `ErasureTarget.erase`. Whoever moves one of them now loses her compare-and-set."""
        ended = 0
        while standing := await self._runs.active_of(subject.tenant_id, [subject.user_id]):
            moves = [_ended(run, self._clock.now_ms()) for run in standing]
            ended += sum(await self._runs.commit(moves))
            await self._planner.schedule(
                [Planned(move.instance.instance_id, FORGET, move.instance.seq) for move in moves]
            )
        tenant = uuid.UUID(bytes=subject.tenant_id)
        wiped = await with_retries(lambda: self._pool.fetchval(self._wipe, tenant, subject.user_id, _EMPTY))
        return {"runs": ended, "histories": int(wiped)}


class RunSource:
    """`compliance.ports.ExportSource` of runs: which journeys she was in, and what happened there."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._page = load_queries("journey_privacy")["page_runs_of_user"]

    @property
    def name(self) -> str:
        """As the certificate of an erasure names the store."""
        return "global.journeys"

    async def export(self, subject: DataSubject) -> AsyncIterator[Held]:
        """All runs, some at a time, with their timelines; see `ExportSource.export`."""
        yield Held("journeys", [])
        tenant, after = uuid.UUID(bytes=subject.tenant_id), uuid.UUID(int=0)
        while records := await self._read(tenant, subject.user_id, after):
            yield Held("journeys", [_shown(record) for record in records])
            after = records[-1]["instance_id"]

    async def _read(self, tenant: uuid.UUID, user_id: int, after: uuid.UUID) -> list[asyncpg.Record]:
        return await with_retries(lambda: self._pool.fetch(self._page, tenant, user_id, after, PORTION))


class RunRetention:
    """Lets ended runs go when they were kept for long enough. Counts stay."""

    def __init__(self, pool: asyncpg.Pool, region: str) -> None:
        self._pool = pool
        self._region = region
        self._sql = load_queries("journey_privacy")

    async def drop_old(self, before_ms: int) -> int:
        """Drop and wipe some of what ended before an instant (UTC ms); how many rows. Raises Transient.

        A user's last run of a journey stays as a bare row, so that she is not taken in again where that is ruled out.
        """
        bound = uuid.UUID(bytes=make_ids(1, before_ms))
        known = self._region, bound, before_ms, PORTION
        dropped = await with_retries(lambda: self._pool.fetchval(self._sql["drop_old_runs"], *known))
        wiped = await with_retries(lambda: self._pool.fetchval(self._sql["wipe_old_runs"], *known, _EMPTY))
        return int(dropped) + int(wiped)

    async def count_active(self) -> int:
        """Runs of this region that are under way. Raises Transient."""
        return int(await with_retries(lambda: self._pool.fetchval(self._sql["count_active"], self._region)))


def _ended(run: Instance, now_ms: int) -> Moved:
    ended = replace(run, seq=run.seq + 1, status="stopped", reason=ERASED, ended_ms=now_ms, context_version=0)
    told = JourneyEvent(
        event_id=derive_journey_event_id(run.instance_id, ended.seq, 0),
        type="stopped",
        at_ms=now_ms,
        tenant_id=run.tenant_id,
        journey_id=run.journey_id,
        version=run.version,
        instance_id=run.instance_id,
        user_id=run.user_id,
        step=run.step,
        detail=ERASED,
        took_ms=max(0, now_ms - run.entered_ms),
        is_test=run.is_test,
    )
    return Moved(ended, changed=True, events=(told,))


def _shown(record: asyncpg.Record) -> dict[str, object]:
    progress = _progress(record["progress"])
    return {
        "journey": record["name"],
        "version": record["version"],
        "status": record["status"],
        "step": record["step"],
        "entered_at": _time(record["entered_ms"]),
        "ended_at": _time(record["ended_ms"]) if record["ended_ms"] else None,
        "reason": record["reason"],
        "is_test": record["is_test"],
        "events": {name: seen.count for name, seen in progress.seen.items()},
        "goals": {name: _time(at_ms) for name, at_ms in progress.goals.items()},
        "timeline": [_entry(entry) for entry in progress.trail],
    }


def _entry(entry: Trail) -> dict[str, object]:
    return {"step": entry.step, "what": entry.what, "at": _time(entry.at_ms), "detail": entry.detail}


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()
