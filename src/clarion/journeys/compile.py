"""From a definition to a graph: `compile_journey` takes any JSON, and says in findings what does not fit.

Where there is no error there is a graph, whatever warnings there are: a run ends where a step leads to none, and
passes by a channel that is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from clarion.journeys.checks import check_graph
from clarion.journeys.findings import Finding, Report, show
from clarion.journeys.graph import MAX_STEPS, Graph
from clarion.journeys.known import Known
from clarion.journeys.reach import listens_to, with_needs
from clarion.journeys.reading.delays import read_zone
from clarion.journeys.reading.effects import read_optimization
from clarion.journeys.reading.entry import read_entry, read_exits, read_goals
from clarion.journeys.reading.fields import Fields, Found, is_list, is_object
from clarion.journeys.reading.places import ON_ERROR, Placed, read_on_error
from clarion.journeys.reading.ways import Setting

MAX_DEPTH: Final = 100
"""Of the JSON. Steps within steps may be 20 levels deep (`places.MAX_LEVELS`), at four levels of JSON each."""

MAX_VALUES: Final = 50_000
"""Values of the JSON: a definition of a thousand steps has some ten thousand."""

MAX_SENDS: Final = 1_000

_IGNORED: Final = (
    "$schema",
    "journey_id",
    "id",
    "version",
    "status",
    "active",
    "enabled",
    "created_at",
    "updated_at",
)
_OF_DECIDE: Final = (
    "quiet_hours",
    "respect_quiet_hours",
    "frequency_cap",
    "frequency_caps",
    "respect_frequency_caps",
)
_LISTS: Final = ("steps", "nodes", "flow")


class Compiled(msgspec.Struct, frozen=True):
    """What became of a definition. `graph` None: there are errors among the findings (errors stand first)."""

    graph: Graph | None
    findings: tuple[Finding, ...]


def compile_journey(raw: object, known: Known | None = None) -> Compiled:
    """Compile a definition, as JSON or YAML gives it. Raises nothing.

    `known`: what the tenant has, to find what is missing; None (or a None in it): that is not looked at.
    """
    report = Report()
    graph = _compile(raw, known or Known(), report) if _is_bounded(raw, report) else None
    return Compiled(None if report.has_errors else graph, report.close())


def _compile(raw: object, known: Known, report: Report) -> Graph | None:
    if not isinstance(raw, dict):
        report.error("", "a journey is an object with a name and steps")
        return None
    top = Fields(cast("dict[str, Any]", raw), "", report)
    inner = top.peek("journey", "definition")
    if inner is not None and isinstance(inner.value, dict) and not top.has(*_LISTS):
        top.unfold(inner.name)
    name = top.text("name", "journey_name", "title") or top.text("journey_id", "id")
    if not name or len(name) > 200:  # noqa: PLR2004  contracts.commands.Name
        top.report.error("name", "a journey has a name of 1 to 200 characters: add name")
    top.skip(*_IGNORED)
    found = top.take("settings", "options", "config")
    settings = (None if found is None else top.inner(found)) or Fields({}, "settings", report)
    zone = read_zone(settings, "timezone", "tz", "time_zone", default=read_zone(top, "timezone", default=""))
    variables = settings.take("variables", "context", "context_schema") or top.take("variables")
    placed = Placed(report)
    setting = _read_setting(top, settings, zone, placed)
    entry = read_entry(top, settings, zone)
    exits, goals = read_exits(top), read_goals([top, settings])
    steps = top.take(*_LISTS)
    first = placed.begin(steps, setting) if steps is not None else None
    if steps is None or first is None:
        report.error("steps", "a journey has steps: add at least one")
    sends = settings.integer(
        "sends_per_day", "max_sends_per_day", "max_messages_per_day", default=20, low=1, high=MAX_SENDS
    )
    max_run_ms = settings.span("max_duration", "max_run", "max_run_duration", "timeout", "expires_after")
    for fields in (top, settings):
        _note_decided(fields)
        fields.close()
    if report.has_errors or first is None:
        return None
    steps_by_id = placed.settle(report)
    graph = Graph(
        name,
        placed.resolve(first),
        steps_by_id,
        entry,
        exits,
        goals,
        sends_per_day=sends,
        max_run_ms=max_run_ms,
    )
    graph = with_needs(msgspec.structs.replace(graph, events=listens_to(graph)))
    check_graph(graph, _names(variables), known, report)
    return graph


def _read_setting(top: Fields, settings: Fields, zone: str, placed: Placed) -> Setting:
    setting = Setting(placed, zone)
    for fields in (top, settings):
        setting = Setting(
            placed,
            zone,
            fields.text("category", "default_category", default=setting.category),
            read_optimization(fields, setting.optimization),
            read_on_error(fields, *ON_ERROR, default=setting.on_error),
        )
    return setting


def _note_decided(fields: Fields) -> None:
    """Quiet hours and caps are decided for each message, by the tenant's and each law's rules: nothing to say here."""
    found = fields.take(*_OF_DECIDE)
    fields.skip(*_OF_DECIDE)
    if found is not None:
        fields.report.note(
            found.path, "quiet hours and caps hold for each message anyway: they are those of the platform"
        )


def _names(variables: Found | None) -> frozenset[str] | None:
    if variables is None:
        return None
    if is_object(variables.value):
        return frozenset(variables.value)
    listed = variables.value if is_list(variables.value) else [variables.value]
    return frozenset(name for name in listed if isinstance(name, str))


def _is_bounded(raw: object, report: Report) -> bool:
    """Whether it is small and plain enough to be read. Walks without recursion, and stops at the first bound."""
    waiting: list[tuple[object, int]] = [(raw, 0)]
    seen = steps = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            what = "deep" if depth > MAX_DEPTH else "large"
            report.error("", f"this definition is too {what} to be read: split it into several journeys")
            return False
        if isinstance(value, dict):
            members = cast("Mapping[Any, Any]", value)
            odd = next((name for name in members if not isinstance(name, str)), None)
            if odd is not None:
                report.error(
                    "", f"the name {show(odd)} of a field is no text: put it between quotation marks"
                )
                return False
            listed = [members[name] for name in _LISTS if isinstance(members.get(name), list)]
            steps += sum(len(cast("list[Any]", one)) for one in listed)
            if steps > MAX_STEPS:
                report.error(
                    "steps",
                    f"a journey has {MAX_STEPS} steps at most, and this has more: split it into several",
                )
                return False
            waiting.extend((member, depth + 1) for member in members.values())
        elif isinstance(value, list):
            waiting.extend((member, depth + 1) for member in cast("list[Any]", value))
        elif not isinstance(value, str | int | float | bool | None):
            report.error(
                "", "it holds a value that JSON does not have, such as a date: put it between quotation marks"
            )
            return False
    return True


__all__ = ["Compiled", "Finding", "Known", "compile_journey"]
