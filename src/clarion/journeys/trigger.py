"""Letting users in: who may enter a journey, and how a run of it begins. One way for the API, events, and all others.

    journey live? ─▶ user known? ─▶ audience? ─▶ context ─▶ row (keys and slots decide) ─▶ continuation

A continuation some seconds ahead is set before the row is written: whoever dies in between leaves no run that nobody
looks at. The row decides alone whether there is a run: of two entries at once, one begins it, and both name it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from clarion.audience.events import UserFinder
from clarion.journeys.graph import CONTEXT, FEATURES, PROFILE, Entry, Graph
from clarion.journeys.model import Context, Facts, Instance, Occurred, Progress, Seen
from clarion.journeys.outside import KnownUsers
from clarion.journeys.ports import (
    FORGET,
    ContextKey,
    ContextStore,
    Continuations,
    Entered,
    FactSource,
    InstanceStore,
    JourneyCatalog,
    JourneyRecord,
    NewRun,
    Planned,
)
from clarion.kernel.clock import Clock
from clarion.kernel.errors import ClarionError, Conflict, NotFound, Refused, Transient, Unknown
from clarion.kernel.ids import format_id, make_ids, split_ids

INSURANCE_MS: Final = 10_000
"""After so long a run is looked at whose row may have been written by a process that then died."""

ONE_SLOT: Final = bytes(16)
NOT_ENTERED: Final = "not_entered"
"""Rule of the refusal of somebody whom the journey does not take."""

Result: TypeAlias = "Begun | ClarionError"


class EntryAsk(msgspec.Struct, frozen=True):
    """Somebody who is to enter a journey, by its name or id.

    `user_id`: her number, where it is known (0: by `external_id`). `entry_key`: 16 bytes that make a second ask a
    repeat (b"": each ask is one of its own). `event`: what she did that lets her in.
    """

    tenant_id: bytes
    journey: str
    external_id: str = ""
    context: Mapping[str, Any] = {}
    is_test: bool = False
    entry_key: bytes = b""
    user_id: int = 0
    event: Occurred | None = None


class Begun(msgspec.Struct, frozen=True):
    """The run that stands for an entry; `created`: it began with it."""

    instance_id: bytes
    created: bool


class Segments(Protocol):
    """Segments, as entries ask for them."""

    async def members_among(self, tenant_id: bytes, segment: str, user_ids: Sequence[int]) -> frozenset[int]:
        """Those of these users who are in the tenant's segment of this name now. Raises NotFound, Transient."""
        ...


class TriggerPorts(msgspec.Struct, frozen=True):
    """The outside, as entries use it. `nonce`: 40 random bits."""

    catalog: JourneyCatalog
    instances: InstanceStore
    contexts: ContextStore
    continuations: Continuations
    users: UserFinder
    known: KnownUsers
    segments: Segments
    facts: FactSource
    clock: Clock
    region: str
    nonce: Callable[[], int]


class _Wish(msgspec.Struct):
    """An ask on its way in."""

    ask: EntryAsk
    record: JourneyRecord
    graph: Graph
    user_id: int = 0


async def trigger(asks: Sequence[EntryAsk], ports: TriggerPorts) -> list[Result]:
    """Let users in; per ask in order the run that stands for it, or why there is none. Durable when this returns.

    Who is in the journey already gets her present run, but where its policy is `always`. Errors: NotFound (no such
    journey), Unknown (no such user), Conflict (it takes nobody now), Refused (not her). Raises Transient.
    """
    results: list[Result | None] = [None] * len(asks)
    wishes = await _find(asks, ports, results)
    await _check_segments(wishes, ports, results)
    await _check_audience(wishes, ports, results)
    now_ms = ports.clock.now_ms()
    idents = split_ids(make_ids(len(wishes), now_ms))
    runs = {
        i: _new_run(wish, ident, now_ms, ports)
        for (i, wish), ident in zip(wishes.items(), idents, strict=True)
    }
    entered = await _enter(wishes, runs, ports) if runs else {}
    for i, entry in entered.items():
        results[i] = _told(entry, wishes[i].record)
    return [result for result in results if result is not None]


async def _find(
    asks: Sequence[EntryAsk], ports: TriggerPorts, results: list[Result | None]
) -> dict[int, _Wish]:
    wishes: dict[int, _Wish] = {}
    found: dict[tuple[bytes, str], JourneyRecord] = {}
    for tenant_id in {ask.tenant_id for ask in asks}:
        found |= await _journeys(
            tenant_id, {ask.journey for ask in asks if ask.tenant_id == tenant_id}, ports
        )
    graphs = await ports.catalog.graphs([(one.journey_id, one.live_version) for one in found.values()])
    users = await _users(asks, ports.users)
    there = await _there(asks, ports.known)
    for i, ask in enumerate(asks):
        record = found.get((ask.tenant_id, ask.journey))
        graph = graphs.get((record.journey_id, record.live_version)) if record is not None else None
        user_id = users.get((ask.tenant_id, ask.external_id), 0)
        if ask.user_id in there:
            user_id = ask.user_id
        if record is None:
            results[i] = NotFound(f"no journey {ask.journey!r}")
        elif record.status in {"draining", "stopped"} or graph is None:
            why = (
                "has no version to run" if graph is None else f"is {record.status}: resume it to let users in"
            )
            results[i] = Conflict(f"the journey {record.name!r} {why}")
        elif not user_id:
            detail = f"no user {ask.external_id!r}; create it with PUT /api/v1/users/{{user_id}}"
            results[i] = Unknown(detail, "user_id")
        else:
            wishes[i] = _Wish(ask, record, graph, user_id)
    return wishes


async def _journeys(
    tenant_id: bytes, names: set[str], ports: TriggerPorts
) -> dict[tuple[bytes, str], JourneyRecord]:
    """A tenant's journeys by what asks call them. One that is not known is looked for once more: it may be new."""
    for last in (False, True):
        known = await ports.catalog.journeys(tenant_id)
        by_name = {record.name: record for record in known.values()}
        by_name |= {format_id(record.journey_id): record for record in known.values()}
        if last or names <= by_name.keys():
            break
        ports.catalog.forget(tenant_id)
    return {(tenant_id, name): by_name[name] for name in names & by_name.keys()}


async def _users(asks: Sequence[EntryAsk], users: UserFinder) -> dict[tuple[bytes, str], int]:
    named: dict[bytes, set[str]] = {}
    for ask in asks:
        if not ask.user_id:
            named.setdefault(ask.tenant_id, set()).add(ask.external_id)
    found: dict[tuple[bytes, str], int] = {}
    for tenant_id, names in named.items():
        ids = await users.find_ids(tenant_id, sorted(names))
        found |= {(tenant_id, name): user_id for name, user_id in ids.items()}
    return found


async def _there(asks: Sequence[EntryAsk], known: KnownUsers) -> frozenset[int]:
    """Those of the users by number who are (still) there: what she did may be heard of after her erasure."""
    numbers = {ask.user_id for ask in asks if ask.user_id}
    return frozenset(await known.read(sorted(numbers))) if numbers else frozenset()


async def _check_segments(
    wishes: dict[int, _Wish], ports: TriggerPorts, results: list[Result | None]
) -> None:
    """Take out who is not in the segment that a journey is for."""
    asked: dict[tuple[bytes, str], dict[int, int]] = {}
    for i, wish in wishes.items():
        if wish.graph.entry.audience_segment:
            key = (wish.ask.tenant_id, wish.graph.entry.audience_segment)
            asked.setdefault(key, {})[i] = wish.user_id
    for (tenant_id, segment), users in asked.items():
        refusal: ClarionError = Refused(
            f"the journey is for the segment {segment!r}, and this user is not in it", NOT_ENTERED
        )
        try:
            members = await ports.segments.members_among(tenant_id, segment, sorted(set(users.values())))
        except NotFound:
            members, refusal = (
                frozenset[int](),
                Conflict(f"the journey is for the segment {segment!r}, and there is none"),
            )
        for i, user_id in users.items():
            if user_id not in members:
                del wishes[i]
                results[i] = refusal


async def _check_audience(
    wishes: dict[int, _Wish], ports: TriggerPorts, results: list[Result | None]
) -> None:
    """Take out whom a journey's audience rule leaves out."""
    asked = [(i, wish) for i, wish in wishes.items() if wish.graph.entry.audience is not None]
    if not asked:
        return
    needs = PROFILE | FEATURES | CONTEXT
    wanted = [(stub_run(wish.record, wish.user_id, ports.region), wish.graph, needs) for _, wish in asked]
    for (i, wish), facts in zip(asked, await ports.facts.read(wanted), strict=True):
        if facts.missing:
            raise Transient("what is known of the users could not be read")
        if not _is_in_audience(wish, facts):
            del wishes[i]
            results[i] = Refused("the journey's audience rule leaves this user out", NOT_ENTERED)


def _is_in_audience(wish: _Wish, facts: Facts) -> bool:
    condition = wish.graph.entry.audience
    scope = {"user": facts.user, "features": facts.features, "context": wish.ask.context}
    if wish.ask.event is not None:
        scope["event"] = wish.ask.event.properties
    return condition is None or condition.judge(scope).holds


def _instance(wish: _Wish, ident: bytes, now_ms: int, ports: TriggerPorts) -> Instance:
    progress, event = Progress(), wish.ask.event
    if event is not None:
        progress.known = [event.event_id]
        progress.seen = {event.name: Seen(1, event.at_ms, event.at_ms, event.received_ms)}
    has_context = bool(wish.ask.context or (event is not None and event.properties))
    return Instance(
        instance_id=ident,
        tenant_id=wish.ask.tenant_id,
        journey_id=wish.record.journey_id,
        version=wish.record.live_version,
        user_id=wish.user_id,
        region=ports.region,
        is_test=wish.ask.is_test,
        status="active",
        seq=0,
        step="",
        due_ms=now_ms,
        progress=progress,
        context_version=1 + ports.nonce() if has_context else 0,
        entered_ms=now_ms,
    )


def stub_run(record: JourneyRecord, user_id: int, region: str) -> Instance:
    """A run that is not there, to read by what is known of somebody who may enter."""
    return Instance(
        instance_id=bytes(16),
        tenant_id=record.tenant_id,
        journey_id=record.journey_id,
        version=record.live_version,
        user_id=user_id,
        region=region,
        is_test=False,
        status="active",
        seq=0,
        step="",
        due_ms=0,
        progress=Progress(),
        context_version=0,
        entered_ms=0,
    )


def _new_run(wish: _Wish, ident: bytes, now_ms: int, ports: TriggerPorts) -> NewRun:
    entry: Entry = wish.graph.entry
    return NewRun(
        _instance(wish, ident, now_ms, ports),
        wish.ask.entry_key or ident,
        ident if entry.reentry == "always" else ONE_SLOT,
        once=entry.reentry == "never",
        not_since_ms=now_ms - entry.reentry_after_ms if entry.reentry == "after" else 0,
    )


async def _enter(
    wishes: Mapping[int, _Wish], runs: Mapping[int, NewRun], ports: TriggerPorts
) -> dict[int, Entered]:
    private = [
        (_key(run.instance), _context(wishes[i].ask))
        for i, run in runs.items()
        if run.instance.context_version
    ]
    instances = [run.instance for run in runs.values()]
    insurance = [Planned(one.instance_id, one.due_ms + INSURANCE_MS, 0) for one in instances]
    await asyncio.gather(ports.contexts.write(private), ports.continuations.schedule(insurance))
    entered = await ports.instances.enter(list(runs.values()))
    await ports.continuations.schedule(
        [
            Planned(one.instance_id, one.due_ms if entry.result == "created" else FORGET, 0, one)
            for one, entry in zip(instances, entered, strict=True)
        ]
    )
    unused = [
        one.instance_id
        for one, entry in zip(instances, entered, strict=True)
        if entry.result != "created" and one.context_version
    ]
    if unused:
        await ports.contexts.drop(unused)
    return dict(zip(runs, entered, strict=True))


def _key(instance: Instance) -> ContextKey:
    return ContextKey(instance.instance_id, instance.context_version, instance.tenant_id, instance.user_id)


def _context(ask: EntryAsk) -> Context:
    """What a run knows at first: what the ask says, over what the event says."""
    if ask.event is None:
        return Context(dict(ask.context))
    properties = dict(ask.event.properties)
    return Context({**properties, **ask.context}, {ask.event.name: properties})


def _told(entry: Entered, record: JourneyRecord) -> Result:
    if entry.result == "refused":
        return Refused(
            f"the journey {record.name!r} does not take this user again (its re-entry policy)", NOT_ENTERED
        )
    return Begun(entry.instance_id, entry.result == "created")
