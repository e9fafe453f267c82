"""What a graph that can run may still do otherwise than was meant: warnings and notes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from clarion.journeys.conditions import ROOTS, Condition
from clarion.journeys.durations import write_span
from clarion.journeys.findings import Report, show
from clarion.journeys.graph import (
    END,
    BranchSpec,
    FetchSpec,
    Graph,
    NotificationSpec,
    SplitSpec,
    StartSpec,
    Step,
    WaitSpec,
)
from clarion.journeys.known import Known
from clarion.journeys.reach import conditions_of, matches_of, texts_of, waits, ways_of
from clarion.journeys.reading.effects import PLACEHOLDER

PROFILE_FIELDS: Final = frozenset(
    {
        *(
            "user_id",
            "external_id",
            "email",
            "phone",
            "timezone",
            "language",
            "locale",
            "country",
            "city",
            "region",
        ),
        *("first_name", "last_name", "name", "plan", "created_at", "preferred_channel", "attributes"),
    }
)
"""Names that need no declaration."""

_SHOWN: Final = 6


def check_graph(graph: Graph, variables: frozenset[str] | None, known: Known, report: Report) -> None:
    """Add warnings and notes about a graph. `variables`: names of the context that the definition declares."""
    _check_reached(graph, report)
    _check_loops(graph, report)
    _check_fall_through(graph, report)
    _check_names(graph, variables, report)
    _check_waits(graph, report)
    _check_known(graph, known, report)


def _check_reached(graph: Graph, report: Report) -> None:
    reached = {graph.first}
    waiting = [graph.first]
    while waiting:
        step = graph.steps.get(waiting.pop())
        for way in () if step is None else ways_of(step):
            if way not in reached:
                reached.add(way)
                waiting.append(way)
    for step in graph.steps.values():
        if step.id not in reached:
            report.warn(step.path, f"no way leads to step {show(step.id)}: nobody gets there", step.id)


def _check_loops(graph: Graph, report: Report) -> None:
    """Say one round that a run could go without any time passing."""
    ways = {
        step.id: [way for way in ways_of(step) if way != END and not waits(graph.steps[way])]
        for step in graph.steps.values()
        if not waits(step)
    }
    loop = _find_loop(ways)
    if loop:
        shown = " → ".join([*loop[:_SHOWN], *(["…"] if len(loop) > _SHOWN else []), loop[0]])
        message = f"these steps go round without a wait: {shown}. A run that does so is stopped: add a delay or a wait"
        report.warn(graph.steps[loop[0]].path, message, loop[0])


def _find_loop(ways: Mapping[str, list[str]]) -> list[str]:
    """The steps of one loop, in order, or []. Peels off all that leads nowhere; what is left goes round."""
    before: dict[str, list[str]] = {ident: [] for ident in ways}
    left = {ident: len(onward) for ident, onward in ways.items()}
    for ident, onward in ways.items():
        for way in onward:
            before[way].append(ident)
    ends = [ident for ident, count in left.items() if not count]
    while ends:
        ident = ends.pop()
        del left[ident]
        for earlier in before[ident]:
            left[earlier] -= 1
            if not left[earlier]:
                ends.append(earlier)
    if not left:
        return []
    at, walked = next(iter(left)), dict[str, None]()
    while at not in walked:
        walked[at] = None
        at = next(way for way in ways[at] if way in left)
    order = list(walked)
    return order[order.index(at) :]


def _check_fall_through(graph: Graph, report: Report) -> None:
    """Say where one way of a branch goes on into another, only because it stands before it."""
    for step in graph.steps.values():
        spec = step.spec
        ways = (
            spec.cases if isinstance(spec, BranchSpec) else spec.arms if isinstance(spec, SplitSpec) else ()
        )
        targets = {way.goto for way in ways if way.goto} - {END}
        for target in sorted(targets):
            at = graph.steps[target]
            for _ in range(len(graph.steps)):
                if ways_of(at) != (at.next,) or at.next == END:
                    break
                at = graph.steps[at.next]
                if at.id in targets and at.id != target:
                    message = (
                        f"the way that begins at {show(target)} goes on to {show(at.id)}, where another way begins: "
                        'if that is not meant, give its last step "next": "end"'
                    )
                    report.note(graph.steps[target].path, message, target)
                    break


def _check_names(graph: Graph, variables: frozenset[str] | None, report: Report) -> None:
    fetched = {
        name for step in graph.steps.values() if isinstance(step.spec, FetchSpec) for name in step.spec.into
    }
    declared = None if variables is None else variables | fetched
    for step, path, name in _names(graph):
        first, *rest = name.split(".")
        if first == "steps" and rest and rest[0] not in graph.steps:
            report.warn(path, f"{show(name)} is of no step: there is no step {show(rest[0])}", step)
        elif first == "context" and rest and declared is not None and rest[0] not in declared:
            report.warn(
                path, f"{show(name)} is not among the declared variables: nothing may ever set it", step
            )
        elif (
            first not in ROOTS
            and not rest
            and first not in PROFILE_FIELDS | fetched | (declared or frozenset())
        ):
            message = (
                f"{first} is looked for in the context, the profile and the features of the user: where it is not "
                f"set, !{first} holds, comparisons with it do not, and it is left out of texts"
            )
            report.note(path, message, step)


def _names(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """(step, path, name) of every name that conditions and texts read."""
    for step, condition in _conditions(graph):
        yield from ((step, condition.path, name) for name in condition.names)
    for step in graph.steps.values():
        for text in texts_of(step):
            yield from ((step.id, step.path, name) for name in PLACEHOLDER.findall(text))


def _conditions(graph: Graph) -> Iterator[tuple[str, Condition]]:
    for step in graph.steps.values():
        # A match of an event reads its properties first: they are nobody's to declare.
        matches = {id(match.condition) for match in matches_of(step)}
        yield from ((step.id, condition) for condition in conditions_of(step) if id(condition) not in matches)
    for rule in graph.exits:
        # A bare word is an event too, whose flag need not be anywhere.
        if rule.condition is not None and rule.condition.text != rule.name:
            yield "", rule.condition


def _check_waits(graph: Graph, report: Report) -> None:
    for step in graph.steps.values():
        spec = step.spec
        if isinstance(spec, WaitSpec) and spec.of_step and spec.of_step not in graph.steps:
            report.warn(
                step.path, f"there is no step {show(spec.of_step)} whose message it could wait for", step.id
            )
        if isinstance(spec, WaitSpec) and graph.max_run_ms and spec.timeout_ms > graph.max_run_ms:
            longest = write_span(graph.max_run_ms)
            report.warn(
                step.path, f"it waits longer than a run may last ({longest}): nobody gets beyond it", step.id
            )


def _check_known(graph: Graph, known: Known, report: Report) -> None:
    for step in graph.steps.values():
        spec = step.spec
        if isinstance(spec, NotificationSpec):
            _check_message(step, spec, known, report)
        if isinstance(spec, StartSpec) and known.journeys is not None and spec.journey not in known.journeys:
            report.warn(
                step.path,
                f"there is no journey {show(spec.journey)}: this step fails until there is",
                step.id,
            )
    for segment in (graph.entry.segment, graph.entry.audience_segment):
        if segment and known.segments is not None and segment not in known.segments:
            report.warn("trigger", f"there is no segment {show(segment)}: nobody enters until there is")


def _check_message(step: Step, spec: NotificationSpec, known: Known, report: Report) -> None:
    if spec.category and known.categories is not None and spec.category not in known.categories:
        report.warn(
            step.path, f"there is no category {show(spec.category)}: this message is refused", step.id
        )
    if known.templates is None:
        return
    asked = [
        (spec.template, spec.channels),
        *((rung.template or spec.template, rung.channels) for rung in spec.rungs),
    ]
    for name, channels in asked:
        if not name:
            continue
        template = known.templates.get(name)
        if template is None:
            report.warn(
                step.path,
                f"there is no template {show(name)}: this message is passed by until there is",
                step.id,
            )
            continue
        for channel in channels:
            if channel not in template.channels:
                message = f"template {show(name)} has nothing for {channel}: that channel is passed by"
                report.warn(step.path, message, step.id)
