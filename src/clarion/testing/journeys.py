"""Stores of journeys in memory, and what else driving needs of the outside.

The stores are held to the real ones' suite (`tests/conformance/test_journey_stores.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from clarion.contracts.journey_events import JourneyEvent
from clarion.journeys.graph import Graph
from clarion.journeys.model import (
    Ask,
    Command,
    Context,
    Done,
    Facts,
    Instance,
    JourneyStatus,
    Moved,
    Recall,
    Send,
)
from clarion.journeys.ports import Claim, ContextKey, Entered, JourneyRecord, NewRun, Planned

_encode = msgspec.msgpack.Encoder().encode
_read_instance = msgspec.msgpack.Decoder(Instance).decode
_read_context = msgspec.msgpack.Decoder(Context).decode


class FakeInstances:
    """`journeys.ports.InstanceStore`. `events`: all that was told, in the order of the commits."""

    def __init__(self) -> None:
        self.events: list[JourneyEvent] = []
        self._entries: dict[bytes, NewRun] = {}
        self._rows: dict[bytes, bytes] = {}

    async def enter(self, runs: Sequence[NewRun]) -> list[Entered]:
        """Begin runs; see `InstanceStore.enter`."""
        return [self._enter(run) for run in runs]

    async def load(self, instance_ids: Sequence[bytes]) -> list[Instance | None]:
        """Runs by id; see `InstanceStore.load`."""
        rows = [self._rows.get(ident) for ident in instance_ids]
        return [None if row is None else _read_instance(row) for row in rows]

    async def commit(self, moves: Sequence[Moved]) -> list[bool]:
        """Write transitions; see `InstanceStore.commit`."""
        won: list[bool] = []
        for move in moves:
            ident = move.instance.instance_id
            row = self._rows.get(ident)
            stands = row is not None and _read_instance(row).seq == move.instance.seq - 1
            if stands:
                self._rows[ident] = _encode(move.instance)
                self.events += move.events
            won.append(stands)
        return won

    async def active_of(self, tenant_id: bytes, user_ids: Sequence[int]) -> list[Instance]:
        """All active runs of these users; see `InstanceStore.active_of`."""
        wanted = set(user_ids)
        return [one for one in self._active() if one.tenant_id == tenant_id and one.user_id in wanted]

    async def page_active(self, region: str, after: bytes, limit: int) -> list[tuple[bytes, int, int]]:
        """(id, due, seq) of active runs by id; see `InstanceStore.page_active`."""
        beyond = (one for one in self._active() if one.region == region and one.instance_id > after)
        return sorted((one.instance_id, one.due_ms, one.seq) for one in beyond)[:limit]

    def _active(self) -> list[Instance]:
        runs = map(_read_instance, self._rows.values())
        return [one for one in runs if one.status == "active"]

    def _enter(self, run: NewRun) -> Entered:
        ident = run.instance.instance_id
        others = {known: entry for known, entry in self._entries.items() if _is_of(entry, run)}
        for known, entry in others.items():
            if entry.entry_key == run.entry_key:
                return Entered("repeat", known)
        rows = {known: _read_instance(self._rows[known]) for known in others}
        for known, entry in others.items():
            if rows[known].status == "active" and entry.slot == run.slot:
                return Entered("existing", known)
        for row in rows.values():
            is_second = run.once and row.is_test == run.instance.is_test
            if is_second or 0 < run.not_since_ms < row.entered_ms:
                return Entered("refused", b"")
        self._entries[ident] = run
        self._rows[ident] = _encode(run.instance)
        return Entered("created", ident)


def _is_of(entry: NewRun, run: NewRun) -> bool:
    one, other = entry.instance, run.instance
    return (one.tenant_id, one.journey_id, one.user_id) == (other.tenant_id, other.journey_id, other.user_id)


class FakeContexts:
    """`journeys.ports.ContextStore`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, int], bytes] = {}

    async def read(self, keys: Sequence[ContextKey]) -> list[Context | None]:
        """Contexts in order; see `ContextStore.read`."""
        kept = [self._kept.get((key.instance_id, key.version)) for key in keys]
        return [None if blob is None else _read_context(blob) for blob in kept]

    async def write(self, entries: Sequence[tuple[ContextKey, Context]]) -> None:
        """Keep contexts; see `ContextStore.write`."""
        for key, context in entries:
            self._kept[key.instance_id, key.version] = _encode(context)
            for known in [k for k in self._kept if k[0] == key.instance_id and k[1] < key.keeps]:
                del self._kept[known]

    async def drop(self, instance_ids: Sequence[bytes]) -> None:
        """Forget all versions; see `ContextStore.drop`."""
        gone = set(instance_ids)
        self._kept = {key: blob for key, blob in self._kept.items() if key[0] not in gone}


class _Entry(msgspec.Struct):
    score: int | None = None
    epoch: int = 0
    seq: int = -1
    state: bytes = b""


class FakeContinuations:
    """`journeys.ports.Continuations`, on the clock `now_ms`. `lose` forgets everything, as a lost server does."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._runs: dict[bytes, _Entry] = {}
        self._is_marked = False

    async def claim(self, limit: int, lease_ms: int) -> list[Claim]:
        """Lease due runs; see `Continuations.claim`."""
        now_ms = self._now_ms()
        due = sorted(
            (one.score, run)
            for run, one in self._runs.items()
            if one.score is not None and one.score <= now_ms
        )[:limit]
        claims: list[Claim] = []
        for _, run in due:
            entry = self._runs[run]
            entry.score, entry.epoch = now_ms + lease_ms, entry.epoch + 1
            claims.append(Claim(run, entry.epoch, _read_instance(entry.state) if entry.state else None))
        return claims

    async def settle(self, settled: Sequence[tuple[Claim, Planned]]) -> None:
        """Give leases back; see `Continuations.settle`."""
        for claim, plan in settled:
            entry = self._runs.get(claim.instance_id)
            if entry is not None and entry.epoch == claim.epoch:
                self._plan(entry, plan)

    async def schedule(self, planned: Sequence[Planned]) -> None:
        """Set due times; see `Continuations.schedule`."""
        for plan in planned:
            entry = self._runs.setdefault(plan.instance_id, _Entry())
            if plan.seq >= entry.seq:
                entry.epoch += 1
                self._plan(entry, plan)

    async def holds_marker(self) -> bool:
        """Whether it is what `mark` marked; see `Continuations.holds_marker`."""
        return self._is_marked

    async def mark(self) -> None:
        """Say that it is whole; see `Continuations.mark`."""
        self._is_marked = True

    def lose(self) -> None:
        """Lose everything."""
        self._runs.clear()
        self._is_marked = False

    def _plan(self, entry: _Entry, plan: Planned) -> None:
        if plan.due_ms < 0:
            del self._runs[plan.instance_id]
            return
        entry.score, entry.seq = plan.due_ms, plan.seq
        entry.state = b"" if plan.instance is None else _encode(plan.instance)


class FixedJourneys:
    """`journeys.ports.JourneyCatalog` of one journey, `record`, whose version never changes."""

    def __init__(self, record: JourneyRecord, graph: Graph) -> None:
        self.record = record
        self._graph = graph

    async def journeys(self, tenant_id: bytes) -> Mapping[bytes, JourneyRecord]:
        """The one, whoever asks."""
        del tenant_id
        return {self.record.journey_id: self.record}

    async def graphs(self, keys: Sequence[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], Graph]:
        """Its version."""
        return dict.fromkeys(keys, self._graph)

    def forget(self, tenant_id: bytes) -> None:
        """Nothing: it is not kept."""

    def set_status(self, status: JourneyStatus) -> None:
        """Pause, resume, drain or stop it."""
        self.record = replace(self.record, status=status)


class NoFacts:
    """`journeys.ports.FactSource` of users of whom nothing is known."""

    async def read(self, wanted: Sequence[tuple[Instance, Graph, int]]) -> list[Facts]:
        """Nothing is known, and nothing missing."""
        return [Facts()] * len(wanted)


class UnwatchedSteps:
    """`journeys.drive.Watcher` that looks away."""

    def reached(self, point: str, count: int) -> None:
        """Nothing."""


class CountedMoves:
    """`journeys.drive.Counter` that can be asked."""

    def __init__(self) -> None:
        self.committed = self.lost = 0

    def moved(self, committed: int, lost: int) -> None:
        """Add."""
        self.committed += committed
        self.lost += lost


class KeptEffects:
    """`journeys.ports.Effects` that answers at once, and keeps the ids of each effect of each visit of each run.

    `done` says what comes of a command; without it each works. An effect that happened once has one id.
    """

    def __init__(self, done: Callable[[Send | Ask], Done] | None = None) -> None:
        self.ids: dict[tuple[bytes, str, int, int], set[bytes]] = {}
        self._done = done

    async def carry_out(self, commands: Sequence[tuple[Command, Context | None]]) -> list[Done | None]:
        """Keep the ids; see `Effects.carry_out`."""
        return [None if isinstance(command, Recall) else self._carry_out(command) for command, _ in commands]

    def _carry_out(self, command: Send | Ask) -> Done:
        ident = command.notification_id if isinstance(command, Send) else command.effect_id
        place = (command.instance.instance_id, command.step, command.visit, command.rung)
        self.ids.setdefault(place, set()).add(ident)
        if self._done is not None:
            return self._done(command)
        return Done(command.step, command.visit, command.rung, "done")
