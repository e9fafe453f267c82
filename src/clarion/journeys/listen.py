"""Listening: events of users and news of messages, told to the runs and journeys that they concern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from clarion.contracts.events import NotificationEvent
from clarion.contracts.user_events import UserEvent
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import Graph, NotificationSpec
from clarion.journeys.model import Input, Instance, Occurred, Reported
from clarion.journeys.ports import JourneyRecord
from clarion.journeys.trigger import Begun, EntryAsk, TriggerPorts, trigger
from clarion.kernel.ids import format_id, parse_id

STATUSES: Final = {
    "sent": "sent",
    "delivered": "delivered",
    "opened": "engaged",
    "clicked": "engaged",
    "engaged": "engaged",
    "failed": "failed",
    "expired": "failed",
    "bounced": "failed",
}
"""What kinds of events of a message say of it; the others change nothing for a run."""


class PropertyReader(Protocol):
    """Reads what is sealed of events."""

    async def read(self, events: Sequence[UserEvent]) -> dict[bytes, dict[str, object]]:
        """The properties of events, by event id; absent where there are none (any more). Raises Transient."""
        ...


class ListenPorts(msgspec.Struct, frozen=True):
    """The outside, as listening uses it."""

    engine: EnginePorts
    entry: TriggerPorts
    properties: PropertyReader


class Heard(msgspec.Struct, frozen=True):
    """What came of events: runs that were told of them, and runs that they began."""

    told: int = 0
    begun: int = 0


class _Tenant(msgspec.Struct, frozen=True):
    """A tenant's events, and the live versions of its journeys."""

    events: list[UserEvent]
    live: list[tuple[JourneyRecord, Graph]]


async def hear_events(events: Sequence[UserEvent], ports: ListenPorts) -> Heard:
    """Tell runs what their users did, and begin those that it begins. May be told again: nothing happens twice.

    Raises Transient: then all of it is to be told again.
    """
    told = begun = 0
    by_tenant: dict[bytes, list[UserEvent]] = {}
    for event in events:
        by_tenant.setdefault(event.tenant_id, []).append(event)
    for tenant_id, theirs in by_tenant.items():
        journeys = await ports.engine.catalog.journeys(tenant_id)
        if not journeys:
            continue
        keys = {record.journey_id: (record.journey_id, record.live_version) for record in journeys.values()}
        graphs = await ports.engine.catalog.graphs(list(keys.values()))
        live = [
            (record, graph)
            for ident, record in journeys.items()
            if (graph := graphs.get(keys[ident])) is not None
        ]
        heard = await _hear(tenant_id, _Tenant(theirs, live), ports)
        told, begun = told + heard.told, begun + heard.begun
    return Heard(told, begun)


async def _hear(tenant_id: bytes, tenant: _Tenant, ports: ListenPorts) -> Heard:
    runs = await _concerned(tenant_id, tenant.events, ports.engine)
    starts = [
        (event, record, graph)
        for event in tenant.events
        for record, graph in tenant.live
        if record.status in {"active", "paused"}
        and graph.entry.kind == "event"
        and graph.entry.match is not None
        and graph.entry.match.event == event.name
    ]
    concerned = {event.event_id for found in runs.values() for event in found[1]}
    concerned |= {event.event_id for event, _, _ in starts}
    properties = await ports.properties.read([e for e in tenant.events if e.event_id in concerned])
    occurred = {
        event.event_id: Occurred(
            event.event_id, event.name, event.at_ms, event.received_ms, properties.get(event.event_id, {})
        )
        for event in tenant.events
        if event.event_id in concerned
    }
    if runs:
        reached: dict[bytes, tuple[Input, ...]] = {
            ident: tuple(occurred[event.event_id] for event in found) for ident, (_, found) in runs.items()
        }
        await drive(reached, ports.engine)
    begun = await _begin(starts, occurred, ports.entry)
    return Heard(len(runs), begun)


async def _concerned(
    tenant_id: bytes, events: Sequence[UserEvent], ports: EnginePorts
) -> dict[bytes, tuple[Instance, list[UserEvent]]]:
    """The active runs that listen to any of these events, with those that they listen to, in their order."""
    instances = await ports.instances.active_of(tenant_id, sorted({event.user_id for event in events}))
    graphs = await ports.catalog.graphs([(one.journey_id, one.version) for one in instances])
    found: dict[bytes, tuple[Instance, list[UserEvent]]] = {}
    for one in instances:
        graph = graphs.get((one.journey_id, one.version))
        theirs = [
            event
            for event in events
            if graph is not None
            and event.user_id == one.user_id
            and event.name in graph.events
            and event.event_id not in one.progress.known
        ]
        if theirs:
            found[one.instance_id] = (one, theirs)
    return found


async def _begin(
    starts: Sequence[tuple[UserEvent, JourneyRecord, Graph]],
    occurred: Mapping[bytes, Occurred],
    ports: TriggerPorts,
) -> int:
    asks = [
        EntryAsk(
            tenant_id=event.tenant_id,
            journey=format_id(record.journey_id),
            user_id=event.user_id,
            entry_key=event.event_id,
            event=occurred[event.event_id],
        )
        for event, record, graph in starts
        if _matches(graph, occurred[event.event_id])
    ]
    if not asks:
        return 0
    results = await trigger(asks, ports)
    return sum(isinstance(result, Begun) and result.created for result in results)


def _matches(graph: Graph, event: Occurred) -> bool:
    match = graph.entry.match
    return match is not None and (
        match.condition is None or match.condition.judge({"event": event.properties}).holds
    )


async def hear_messages(events: Sequence[NotificationEvent], ports: EnginePorts) -> int:
    """Tell runs how their messages did; how many runs were told. May be told again. Raises Transient."""
    news: dict[bytes, list[NotificationEvent]] = {}
    for event in events:
        ident = parse_id(event.journey_id) if event.journey_id and event.type in STATUSES else None
        if ident is not None:
            news.setdefault(ident, []).append(event)
    if not news:
        return 0
    idents = list(news)
    instances = await ports.instances.load(idents)
    graphs = await ports.catalog.graphs(
        [(one.journey_id, one.version) for one in instances if one is not None]
    )
    reached: dict[bytes, tuple[Input, ...]] = {}
    for ident, instance in zip(idents, instances, strict=True):
        graph = graphs.get((instance.journey_id, instance.version)) if instance is not None else None
        if instance is None or graph is None or instance.status != "active":
            continue
        reports = _reports(instance, graph, news[ident])
        if reports:
            reached[ident] = reports
    if reached:
        await drive(reached, ports)
    return len(reached)


def _reports(instance: Instance, graph: Graph, events: Sequence[NotificationEvent]) -> tuple[Reported, ...]:
    """News of this run's own messages (anybody may name a run with a request of her own)."""
    places = {
        effect_id(instance.instance_id, name, outcome.visit, rung, at_ms): (name, outcome.visit)
        for name, outcome in instance.progress.outcomes.items()
        if (step := graph.steps.get(name)) is not None and isinstance(step.spec, NotificationSpec)
        for rung, at_ms in enumerate(outcome.asked, OWN)
    }
    return tuple(
        Reported(event.event_id, *places[event.notification_id], STATUSES[event.type], event.at_ms)
        for event in events
        if event.tenant_id == instance.tenant_id and event.notification_id in places
    )
