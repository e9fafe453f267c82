"""From a definition to a graph: `compile_journey` takes any JSON, and says in findings what does not fit.

Where there is no error there is a graph, whatever warnings there are: a run ends where a step leads to none, and
passes by a channel that is not there.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec

from clarion.journeys.bounds import MAX_DEPTH, STEP_LISTS, OutOfBoundsError, check_bounds
from clarion.journeys.checks import check_graph
from clarion.journeys.findings import Finding, Report
from clarion.journeys.graph import Graph
from clarion.journeys.known import Known
from clarion.journeys.reach import listens_to, with_needs
from clarion.journeys.reading.delays import read_zone
from clarion.journeys.reading.entry import read_entry, read_exits, read_goals
from clarion.journeys.reading.fields import Fields, Found, is_list, is_object
from clarion.journeys.reading.messages import read_optimization
from clarion.journeys.reading.places import ON_ERROR, Placed, read_on_error
from clarion.journeys.reading.ways import Setting

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


class Compiled(msgspec.Struct, frozen=True):
    """What became of a definition. `graph` None: there are errors among the findings (errors stand first)."""

    graph: Graph | None
    findings: tuple[Finding, ...]


def compile_journey(raw: object, known: Known | None = None) -> Compiled:
    """Compile a definition, as JSON or YAML gives it. Raises nothing.

    `known`: what the tenant has, to find what is missing; None (or a None in it): that is not looked at.
    """
    report, graph = Report(), None
    try:
        check_bounds(raw)
        graph = _compile(raw, known or Known(), report)
    except OutOfBoundsError as error:
        report.error("", str(error))
    return Compiled(None if report.has_errors else graph, report.close())


def _compile(raw: object, known: Known, report: Report) -> Graph | None:
    if not isinstance(raw, dict):
        report.error("", "a journey is an object with a name and steps")
        return None
    top = Fields(cast("dict[str, Any]", raw), "", report)
    inner = top.peek("journey", "definition")
    if inner is not None and isinstance(inner.value, dict) and not top.has(*STEP_LISTS):
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
    steps = top.take(*STEP_LISTS)
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


__all__ = ["MAX_DEPTH", "Compiled", "Finding", "Known", "compile_journey"]
