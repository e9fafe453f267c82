"""Driving runs: from what reached them to durable transitions and effects, by the batch.

    load ─▶ graphs, facts, contexts ─▶ advance ─▶ **commit** ─▶ effects ─▶ their answers ─▶ advance ─▶ … ─▶ plan

Nothing is carried out before the transition that decided it is durable. Whoever dies in between leaves a run in ASKED,
with a lease that ends; the next one asks again by the same ids. A run that somebody else moved meanwhile is read anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from clarion.journeys.advance import advance
from clarion.journeys.effects import messages_of
from clarion.journeys.graph import CONTEXT, FEATURES, PROFILE, STEPS, Graph
from clarion.journeys.model import (
    ASKED,
    Ask,
    Command,
    Context,
    Done,
    Due,
    Ended,
    Facts,
    Input,
    Instance,
    Moved,
    Occurred,
    Recall,
    Send,
    Turn,
)
from clarion.journeys.ports import (
    FORGET,
    Claim,
    ContextKey,
    ContextStore,
    Continuations,
    Effects,
    FactSource,
    InstanceStore,
    JourneyCatalog,
    JourneyRecord,
    Planned,
)
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Transient

INSURANCE_MS: Final = 10_000
"""How soon a run is looked at that ends with messages to take back, should nobody come to it."""

PAUSED_MS: Final = 5_000
PAUSED_MOST_MS: Final = 60_000
"""How soon a due run of a paused journey is looked at again: a quarter of the time that it has been due, within these
bounds. So a short pause ends soon after it, and a hundred thousand runs of a long one cost little."""

AGAIN_MS: Final = 5_000
"""How soon an effect is asked for again that could not be carried out, because a store was away."""

UNKNOWN_MS: Final = 10_000
"""How long after its time-out an effect is asked for again whose answer did not come."""

ROUNDS: Final = 50
"""Effects that a run gets through in one drive; then it goes behind the others."""

RELOADS: Final = 6
"""How often a run is read anew that others keep moving."""


class Watcher(Protocol):
    """Told where a batch has got to: the chaos tests end the process there."""

    def reached(self, point: str, count: int) -> None:
        """`advanced`, `written`, `committed`, `carried_out` or `planned`, with so many runs."""
        ...


class Counter(Protocol):
    """Told what happened, for the metrics."""

    def moved(self, committed: int, lost: int) -> None:
        """Transitions that were committed, and those that somebody else was faster with."""
        ...


class EnginePorts(msgspec.Struct, frozen=True):
    """The outside, as driving uses it. `nonce`: 40 random bits."""

    catalog: JourneyCatalog
    instances: InstanceStore
    contexts: ContextStore
    continuations: Continuations
    facts: FactSource
    effects: Effects
    clock: Clock
    nonce: Callable[[], int]
    watcher: Watcher
    counter: Counter


class _Reached(msgspec.Struct):
    """A run on its way through a drive. `wait_ms`: it is looked at again after so long, whatever it says itself."""

    inputs: tuple[Input, ...]
    instance: Instance | None = None
    context: Context | None = None
    claim: Claim | None = None
    commands: tuple[Command, ...] = ()
    wait_ms: int = 0
    held: bool = False
    reloads: int = 0
    rounds: int = 0


async def drive(
    reached: Mapping[bytes, tuple[Input, ...]],
    ports: EnginePorts,
    claims: Mapping[bytes, Claim] | None = None,
) -> None:
    """Take runs, by id, as far as they go with what reached them.

    Settles `claims`, and schedules the other runs. An input that a run is past changes nothing, so all may be repeated.
    Raises Transient where a store is away: what was committed stays, everything else comes again when leases end.
    """
    held = claims or {}
    runs = {
        ident: _Reached(inputs, claim=held.get(ident), instance=_of_claim(held.get(ident)))
        for ident, inputs in reached.items()
    }
    under_way = list(runs)
    while under_way:
        batch = {ident: runs[ident] for ident in under_way}
        await _load(batch, ports)
        moves = await _advance(batch, ports)
        under_way = await _commit(batch, moves, ports)
        owing = await _find_owing(batch, ports)
        under_way += await _carry_out({ident: runs[ident] for ident in (*moves, *owing)}, ports)
    await _plan(runs, ports)


def _of_claim(claim: Claim | None) -> Instance | None:
    return None if claim is None else claim.instance


async def _load(batch: Mapping[bytes, _Reached], ports: EnginePorts) -> None:
    missing = [ident for ident, run in batch.items() if run.instance is None]
    if missing:
        for ident, instance in zip(missing, await ports.instances.load(missing), strict=True):
            batch[ident].instance = instance


async def _advance(batch: Mapping[bytes, _Reached], ports: EnginePorts) -> dict[bytes, Moved]:
    """What becomes of the runs that there are, and that may move."""
    now_ms = ports.clock.now_ms()
    active = {
        ident: run.instance
        for ident, run in batch.items()
        if run.instance is not None and run.instance.status == "active"
    }
    graphs = await ports.catalog.graphs([(one.journey_id, one.version) for one in active.values()])
    journeys = await _journeys(active.values(), ports)
    taken: list[tuple[bytes, Instance, Graph]] = []
    for ident, instance in active.items():
        run, graph = batch[ident], graphs.get((instance.journey_id, instance.version))
        journey = journeys.get(instance.journey_id)
        run.held = journey is not None and journey.status == "paused"
        run.inputs = _allowed(run, journey)
        if graph is None or not run.inputs:
            run.wait_ms = _pause(now_ms - instance.due_ms)
        else:
            taken.append((ident, instance, graph))
    facts = await _read_facts(taken, ports)
    await _read_contexts(batch, taken, ports)
    turns = [
        Turn(instance, graph, batch[ident].inputs, known, batch[ident].context, batch[ident].held)
        for (ident, instance, graph), known in zip(taken, facts, strict=True)
    ]
    moves = advance(turns, now_ms)
    ports.watcher.reached("advanced", len(moves))
    return {ident: move for (ident, _, _), move in zip(taken, moves, strict=True)}


async def _journeys(runs: Collection[Instance], ports: EnginePorts) -> dict[bytes, JourneyRecord]:
    """The journeys of runs by id. One that is not known is looked for once more: it may be younger than the cache."""
    found: dict[bytes, JourneyRecord] = {}
    for tenant_id in {one.tenant_id for one in runs}:
        wanted = {one.journey_id for one in runs if one.tenant_id == tenant_id}
        known = await ports.catalog.journeys(tenant_id)
        if not wanted <= known.keys():
            ports.catalog.forget(tenant_id)
            known = await ports.catalog.journeys(tenant_id)
        found |= known
    return found


def _allowed(run: _Reached, journey: JourneyRecord | None) -> tuple[Input, ...]:
    """What a run may heed: a paused journey's runs are not moved by time, a stopped one's end."""
    status = "stopped" if journey is None else journey.status
    if status == "stopped":
        return (Ended("journey stopped" if journey is not None else "journey deleted"),)
    if status == "paused":
        return tuple(one for one in run.inputs if not isinstance(one, Due))
    return run.inputs


def _pause(overdue_ms: int) -> int:
    return min(PAUSED_MOST_MS, max(PAUSED_MS, overdue_ms // 4))


async def _find_owing(batch: Mapping[bytes, _Reached], ports: EnginePorts) -> list[bytes]:
    """Runs that ended, and are claimed all the same: who ended them did not come to take their messages back."""
    ended = {
        ident: run.instance
        for ident, run in batch.items()
        if run.claim is not None
        and run.instance is not None
        and run.instance.progress.takes_back
        and not run.commands
    }
    if not ended:
        return []
    graphs = await ports.catalog.graphs([(one.journey_id, one.version) for one in ended.values()])
    for ident, instance in ended.items():
        graph = graphs.get((instance.journey_id, instance.version))
        idents = () if graph is None else tuple(messages_of(instance, graph))
        batch[ident].commands = (Recall(instance, idents),) if idents else ()
    return list(ended)


async def _read_facts(taken: Sequence[tuple[bytes, Instance, Graph]], ports: EnginePorts) -> list[Facts]:
    wanted = [(i, instance, graph, _needs(instance, graph)) for i, (_, instance, graph) in enumerate(taken)]
    asking = [(i, instance, graph, needs) for i, instance, graph, needs in wanted if needs & ~CONTEXT]
    facts = [Facts()] * len(taken)
    if asking:
        found = await ports.facts.read([(instance, graph, needs) for _, instance, graph, needs in asking])
        for (i, _, _, _), known in zip(asking, found, strict=True):
            facts[i] = known
    return facts


def _needs(instance: Instance, graph: Graph) -> int:
    step = graph.steps.get(instance.step or graph.first)
    return PROFILE | FEATURES | STEPS | CONTEXT if step is None else step.needs


async def _read_contexts(
    batch: Mapping[bytes, _Reached], taken: Sequence[tuple[bytes, Instance, Graph]], ports: EnginePorts
) -> None:
    wanted: list[_Reached] = []
    keys: list[ContextKey] = []
    for ident, instance, graph in taken:
        run = batch[ident]
        if run.context is None and instance.context_version and _reads_context(run, instance, graph):
            wanted.append(run)
            keys.append(_key(instance, instance.context_version))
    if keys:
        for run, context in zip(wanted, await ports.contexts.read(keys), strict=True):
            run.context = context


def _reads_context(run: _Reached, instance: Instance, graph: Graph) -> bool:
    """Whether a turn may read or change the private context; an event or answer may bring something for it."""
    return bool(
        _needs(instance, graph) & CONTEXT
        or instance.progress.phase == ASKED
        or any(isinstance(one, Occurred | Done) for one in run.inputs)
    )


def _key(instance: Instance, version: int, keeps: int = 0) -> ContextKey:
    return ContextKey(instance.instance_id, version, instance.tenant_id, instance.user_id, keeps)


async def _commit(
    batch: Mapping[bytes, _Reached], moves: dict[bytes, Moved], ports: EnginePorts
) -> list[bytes]:
    """Make transitions durable. Gives the runs to be read anew, and takes them out of `moves`."""
    _name_contexts(batch, moves, ports.nonce)
    changed = [(ident, move) for ident, move in moves.items() if move.changed]
    private = [
        (_key(move.instance, move.instance.context_version, _version_before(batch[ident])), move.context)
        for ident, move in changed
        if move.context is not None
    ]
    if private:
        await ports.contexts.write(private)
        ports.watcher.reached("written", len(private))
    await _insure(batch, changed, ports)
    won = await ports.instances.commit([move for _, move in changed])
    ports.watcher.reached("committed", len(changed))
    ports.counter.moved(sum(won), len(won) - sum(won))
    lost = {ident for (ident, _), is_won in zip(changed, won, strict=True) if not is_won}
    for ident, move in list(moves.items()):
        run = batch[ident]
        if ident in lost:
            del moves[ident]
            continue
        run.instance, run.commands = move.instance, move.commands
        if move.context is not None:
            run.context = move.context
        run.inputs = ()
    return [ident for ident in lost if _is_read_anew(batch[ident])]


async def _insure(
    batch: Mapping[bytes, _Reached], changed: Sequence[tuple[bytes, Moved]], ports: EnginePorts
) -> None:
    """Have runs looked at soon that end now, with messages to take back: whoever dies in between forgets none.

    Those that are claimed come again when the lease ends.
    """
    soon_ms = ports.clock.now_ms() + INSURANCE_MS
    ending = [
        Planned(ident, soon_ms, move.instance.seq - 1)
        for ident, move in changed
        if batch[ident].claim is None and any(isinstance(command, Recall) for command in move.commands)
    ]
    if ending:
        with contextlib.suppress(Transient):  # without an index a run ends all the same
            await ports.continuations.schedule(ending)


def _version_before(run: _Reached) -> int:
    return 0 if run.instance is None else run.instance.context_version


def _name_contexts(
    batch: Mapping[bytes, _Reached], moves: dict[bytes, Moved], nonce: Callable[[], int]
) -> None:
    """Give changed contexts versions of their own: two who decide at once must not write over each other's."""
    for ident, move in moves.items():
        if move.context is not None:
            version = move.instance.seq << 40 | nonce()
            moves[ident] = replace(move, instance=replace(move.instance, context_version=version))
        elif move.changed:
            before = _version_before(batch[ident])
            if move.instance.context_version != before:
                moves[ident] = replace(move, instance=replace(move.instance, context_version=before))


def _is_read_anew(run: _Reached) -> bool:
    """Somebody else moved it. What is only its time has been seen to; what reached it comes again to its new state."""
    run.instance = run.context = None
    run.reloads += 1
    run.inputs = tuple(one for one in run.inputs if not isinstance(one, Due))
    return bool(run.inputs) and run.reloads <= RELOADS


async def _carry_out(runs: Mapping[bytes, _Reached], ports: EnginePorts) -> list[bytes]:
    """Carry out what was decided. Gives the runs whose effects have an answer."""
    asked = [(ident, command) for ident, run in runs.items() for command in run.commands]
    if not asked:
        return []
    await _read_missing_contexts(runs, ports)
    try:
        answers = await ports.effects.carry_out([(command, runs[ident].context) for ident, command in asked])
    except Transient:
        for ident, _ in asked:
            runs[ident].wait_ms = AGAIN_MS
        return []
    ports.watcher.reached("carried_out", len(asked))
    answered: list[bytes] = []
    for (ident, command), done in zip(asked, answers, strict=True):
        run = runs[ident]
        run.commands = ()
        if done is not None:
            run.inputs = (done,)
            run.rounds += 1
            if run.rounds <= ROUNDS:
                answered.append(ident)
        elif isinstance(command, Ask | Send):
            run.wait_ms = UNKNOWN_MS + (command.timeout_ms if isinstance(command, Ask) else 0)
    return answered


async def _read_missing_contexts(runs: Mapping[bytes, _Reached], ports: EnginePorts) -> None:
    wanted = [
        (run, _key(run.instance, run.instance.context_version))
        for run in runs.values()
        if run.commands and run.context is None and run.instance is not None and run.instance.context_version
    ]
    if wanted:
        for (run, _), context in zip(
            wanted, await ports.contexts.read([key for _, key in wanted]), strict=True
        ):
            run.context = context


async def _plan(runs: Mapping[bytes, _Reached], ports: EnginePorts) -> None:
    """Say when each run is to be looked at next; forget those that ended, with what was private of them."""
    now_ms = ports.clock.now_ms()
    settled: list[tuple[Claim, Planned]] = []
    scheduled: list[Planned] = []
    for ident, run in runs.items():
        plan = _planned(ident, run, now_ms)
        if run.claim is not None:
            settled.append((run.claim, plan))
        elif run.instance is not None:
            scheduled.append(plan)
    if settled:
        await ports.continuations.settle(settled)
    if scheduled:
        await ports.continuations.schedule(scheduled)
    ended = [
        ident
        for ident, run in runs.items()
        if run.instance is not None and run.instance.status != "active" and run.instance.context_version
    ]
    if ended:
        await ports.contexts.drop(ended)
    ports.watcher.reached("planned", len(runs))


def _planned(ident: bytes, run: _Reached, now_ms: int) -> Planned:
    instance = run.instance
    if instance is None:
        # Moved by somebody else, who plans it; or not there at all. Looked at once more, from the truth.
        is_lost = run.reloads > 0
        return Planned(ident, now_ms if is_lost else FORGET, 0)
    if instance.status != "active":
        # What could not be taken back is tried again.
        return Planned(ident, now_ms + run.wait_ms if run.wait_ms else FORGET, instance.seq, instance)
    due_ms = now_ms + run.wait_ms if run.wait_ms else instance.due_ms
    return Planned(ident, due_ms, instance.seq, instance)
