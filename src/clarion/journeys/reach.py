"""What a graph's steps lead to, need and listen to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

import msgspec

from clarion.journeys.conditions import Condition
from clarion.journeys.graph import (
    CONTEXT,
    EFFECTS,
    END,
    FEATURES,
    PROFILE,
    STEPS,
    BranchSpec,
    Delay,
    DelaySpec,
    DigestSpec,
    EventMatch,
    ExitSpec,
    FetchSpec,
    GotoSpec,
    Graph,
    NotificationSpec,
    ProfileSpec,
    SplitSpec,
    StartSpec,
    Step,
    ThrottleSpec,
    WaitSpec,
    WebhookSpec,
)

MESSAGE_WORDS: Final = frozenset({"sent", "delivered", "engaged", "failed", "blocked"})
"""What a message does, which is no event of the user's."""

_NEEDS: Final = {
    "user": PROFILE,
    "context": CONTEXT,
    "features": FEATURES,
    "events": FEATURES,
    "steps": STEPS,
}
_READS_CONTEXT: Final = (NotificationSpec, FetchSpec, WebhookSpec, StartSpec, ProfileSpec, DigestSpec)
"""Kinds that fill texts from the context, or add to it."""


def ways_of(step: Step) -> tuple[str, ...]:
    """Ids of the steps that a step may lead to (END among them), each once."""
    spec = step.spec
    match spec:
        case GotoSpec(goto=goto):
            ways = [goto]
        case ExitSpec():
            ways = []
        case BranchSpec(cases=cases):
            ways = [step.next if case.goto is None else case.goto for case in cases]
            if all(case.condition is not None for case in cases):
                ways.append(step.next)
        case SplitSpec(arms=arms):
            ways = [step.next if arm.goto is None else arm.goto for arm in arms]
        case WaitSpec(on_event=on_event, on_timeout=on_timeout):
            ways = [step.next if way is None else way for way in (on_event, on_timeout)]
        case DigestSpec(on_empty=other) | ThrottleSpec(on_limit=other):
            ways = [step.next] if other is None else [step.next, other]
        case _:
            ways = [step.next]
    if step.condition is not None:
        ways.append(step.next)
    return tuple(dict.fromkeys(ways))


def conditions_of(step: Step) -> Iterator[Condition]:
    """Every condition that is judged at a step."""
    if step.condition is not None:
        yield step.condition
    if isinstance(step.spec, BranchSpec):
        yield from (case.condition for case in step.spec.cases if case.condition is not None)
    yield from (match.condition for match in matches_of(step) if match.condition is not None)


def texts_of(step: Step) -> Iterator[str]:
    """Every text of a step in which names may be filled in."""
    spec = step.spec
    match spec:
        case NotificationSpec(data=value) | ProfileSpec(attributes=value) | StartSpec(context=value):
            waiting: list[Any] = [value]
        case FetchSpec() | WebhookSpec():
            waiting = [spec.url, spec.headers, spec.body]
        case _:
            waiting = []
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting.extend(cast("dict[str, Any]", value).values())
        elif isinstance(value, list):
            waiting.extend(cast("list[Any]", value))


def matches_of(step: Step) -> tuple[EventMatch, ...]:
    """The user's events that a step listens to."""
    match step.spec:
        case WaitSpec(of_step="", match=matches) | DigestSpec(match=matches):
            return matches
        case NotificationSpec(until=EventMatch() as until) if until.event not in MESSAGE_WORDS:
            return (until,)
        case _:
            return ()


def listens_to(graph: Graph) -> frozenset[str]:
    """Names of every event of users that a graph takes note of, those that its conditions count among them."""
    matches = [match for step in graph.steps.values() for match in matches_of(step)]
    matches += [rule.match for rule in graph.exits if rule.match is not None]
    matches += [goal.match for goal in graph.goals]
    if graph.entry.match is not None:
        matches.append(graph.entry.match)
    conditions = [condition for step in graph.steps.values() for condition in conditions_of(step)]
    conditions += [rule.condition for rule in graph.exits if rule.condition is not None]
    conditions += [match.condition for match in matches if match.condition is not None]
    counted = (name.split(".") for condition in conditions for name in condition.names)
    return frozenset(
        {match.event for match in matches}
        | {parts[1] for parts in counted if parts[0] == "events" and parts[1:]}
    )


def with_needs(graph: Graph) -> Graph:
    """The graph with `Step.needs` settled: of each step and of all that may follow it at the same instant."""
    watched = _watched(graph)
    own = {ident: _own_needs(step) for ident, step in graph.steps.items()}
    # What a run may need that comes to a step: the step's own and, unless it surely stops there, what comes after.
    arriving = dict(own)
    before: dict[str, list[str]] = {ident: [] for ident in graph.steps}
    for ident, step in graph.steps.items():
        if not _stops(step):
            for way in ways_of(step):
                if way != END:
                    before[way].append(ident)
    waiting = list(graph.steps)
    while waiting:
        ident = waiting.pop()
        for earlier in before[ident]:
            if arriving[earlier] | arriving[ident] != arriving[earlier]:
                arriving[earlier] |= arriving[ident]
                waiting.append(earlier)
    steps: dict[str, Step] = {}
    for ident, step in graph.steps.items():
        needs = own[ident] | watched
        for way in ways_of(step):
            needs |= arriving.get(way, 0)
        steps[ident] = msgspec.structs.replace(step, needs=needs)
    return msgspec.structs.replace(graph, steps=steps)


def waits(step: Step) -> bool:
    """Whether time passes at a step, or may: a loop with one in it does not spin."""
    return step.delay is not None or isinstance(step.spec, DelaySpec | WaitSpec | DigestSpec)


def _stops(step: Step) -> bool:
    """Whether a run that comes to a step surely stays there a while: for a span, or for an effect's answer."""
    if step.delay is not None:
        return step.delay.after_ms > 0 and not step.delay.attribute
    if step.condition is not None:
        return False
    match step.spec:
        case DelaySpec(delay=delay):
            return delay.after_ms > 0 and not delay.attribute
        case spec:
            return isinstance(spec, EFFECTS)


def _own_needs(step: Step) -> int:
    needs = CONTEXT if isinstance(step.spec, _READS_CONTEXT) else 0
    for condition in conditions_of(step):
        needs |= _needs_of(condition)
    match step.spec:
        case DelaySpec(delay=delay) | DigestSpec(window=delay):
            needs |= _needs_of_delay(delay)
        case WaitSpec(of_step=of_step) if of_step:
            needs |= STEPS
        case NotificationSpec(until=EventMatch()):
            needs |= STEPS
        case _:
            pass
    return needs if step.delay is None else needs | _needs_of_delay(step.delay)


def _needs_of(condition: Condition) -> int:
    needs = 0
    for root in condition.roots:
        needs |= _NEEDS.get(root, 0)
    return needs


def _needs_of_delay(delay: Delay) -> int:
    root = delay.attribute.split(".")[0]
    named = _NEEDS.get(root, PROFILE | CONTEXT) if delay.attribute else 0
    is_local = delay.clock is not None or bool(delay.weekdays) or bool(delay.attribute)
    return named | (PROFILE if is_local and not delay.timezone else 0)


def _watched(graph: Graph) -> int:
    """What exit rules and goals need, which are looked at wherever a run stands."""
    needs = 0
    for rule in graph.exits:
        for condition in (rule.condition, None if rule.match is None else rule.match.condition):
            needs |= 0 if condition is None else _needs_of(condition)
    for goal in graph.goals:
        needs |= 0 if goal.match.condition is None else _needs_of(goal.match.condition)
    return needs
