"""Journeys and their runs as the API shows them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.contracts.commands import Name
from clarion.contracts.responses import ItemError
from clarion.entrypoints.api.errors import JourneyFinding
from clarion.journeys.effects import OWN, effect_id
from clarion.journeys.graph import Graph, NotificationSpec
from clarion.journeys.model import ARRIVED, ASKED, DELAYED, NEVER, RETRYING, WAITING, Instance
from clarion.journeys.ports import JourneyRecord, JourneyVersion
from clarion.journeys.timeline import WORDS
from clarion.kernel.ids import format_id
from clarion.orchestration.rows import format_time

Number = Annotated[int, Meta(ge=1, le=2_147_483_647)]
"""Number of a version."""

PAGE: Final = 50
MAX_PAGE: Final = 500

_PHASES: Final = {
    ARRIVED: "arrived",
    DELAYED: "delayed",
    ASKED: "asked",
    WAITING: "waiting",
    RETRYING: "retrying",
}

EXAMPLE: Final[dict[str, Any]] = {
    "name": "onboarding",
    "trigger": {"type": "event", "event_name": "signed_up"},
    "steps": [
        {"id": "welcome", "type": "notification", "channels": ["email"], "template": "welcome"},
        {"id": "a_day", "type": "wait", "delay": "24h"},
        {
            "id": "active",
            "type": "branch",
            "conditions": [{"if": "events.first_project.count > 0", "goto": "done"}, {"else": "nudge"}],
        },
        {"id": "nudge", "type": "notification", "channels": ["push"], "template": "first_project"},
        {"id": "done", "type": "goal", "name": "onboarded"},
    ],
    "exit_conditions": ["account_closed"],
}


class TriggerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST …/trigger`: who enters, and what the run knows from then on (also its templates' `data`)."""

    user_id: Name
    context: dict[str, Any] = {}


class TriggerAnswer(msgspec.Struct, frozen=True):
    """The run that stands for the entry. Somebody who is in the journey already gets her present run."""

    journey_instance_id: str


class TriggerBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST …/trigger/batch`."""

    users: Annotated[list[TriggerBody], Meta(min_length=1, max_length=1000)]


class TriggersRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The envelope of a batch: each entry is decoded, and refused, by itself."""

    users: list[msgspec.Raw]


class TriggerResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one entry of a batch: its run, or why there is none."""

    index: int
    journey_instance_id: str | None = None
    error: ItemError | None = None


class TriggerResults(msgspec.Struct, frozen=True):
    """One entry each, in order."""

    results: list[TriggerResult]


class StandingView(msgspec.Struct, frozen=True):
    """How many active runs of a version stand at a step."""

    version: int
    step: str
    runs: int


class JourneyPublished(msgspec.Struct, frozen=True):
    """A journey and what is to be said of its definition. `running`: active runs, which stay on their versions."""

    journey_id: str
    name: str
    status: str
    version: int
    findings: list[JourneyFinding]
    running: list[StandingView]


class JourneyLine(msgspec.Struct, frozen=True):
    """A journey. `status`: `active`, `paused`, `draining` (takes nobody in) or `stopped`."""

    journey_id: str
    name: str
    status: str
    version: int
    created_at: str
    updated_at: str


class JourneyList(msgspec.Struct, frozen=True):
    """A tenant's journeys by name."""

    journeys: list[JourneyLine]


class JourneyView(msgspec.Struct, frozen=True):
    """A journey with the definition of its live version, and where its active runs stand."""

    journey_id: str
    name: str
    status: str
    version: int
    created_at: str
    updated_at: str
    definition: dict[str, Any]
    findings: list[JourneyFinding]
    running: list[StandingView]


class JourneyVersionLine(msgspec.Struct, frozen=True):
    """One version of a journey. `note`: why it was published."""

    version: int
    created_at: str
    created_by: str
    is_live: bool
    note: str


class JourneyVersionList(msgspec.Struct, frozen=True):
    """All versions, newest first."""

    versions: list[JourneyVersionLine]


class JourneyVersionView(msgspec.Struct, frozen=True):
    """One version with its definition."""

    version: int
    created_at: str
    created_by: str
    is_live: bool
    note: str
    definition: dict[str, Any]


class RunLine(msgspec.Struct, frozen=True):
    """One user's run. `due_at` null: only an event moves it. `reason`: why it ended.

    `phase`: arrived, delayed, asked, waiting or retrying, while it is active. `user_id` null: she is gone.
    """

    instance_id: str
    user_id: str | None
    version: int
    status: str
    step: str
    phase: str
    entered_at: str
    due_at: str | None
    ended_at: str | None
    reason: str
    is_test: bool


class RunList(msgspec.Struct, frozen=True):
    """Runs, newest first. `next_cursor` asks for those before them."""

    instances: list[RunLine]
    next_cursor: str | None


class RunParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runs: of a user, of a status, at a step."""

    user_id: Annotated[str, Meta(max_length=200)] = ""
    status: Literal["", "active", "completed", "exited", "failed", "stopped"] = ""
    step: Annotated[str, Meta(max_length=200)] = ""
    cursor: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


class TrailView(msgspec.Struct, frozen=True):
    """One entry of a timeline. `means` says `what` in words."""

    at: str
    step: str
    visit: int
    what: str
    detail: str
    means: str


class OutcomeView(msgspec.Struct, frozen=True):
    """How the last visit of a step ended. `notification_ids`: the messages that it asked for."""

    step: str
    visit: int
    result: str
    at: str
    notification_ids: list[str]


class RunView(RunLine, frozen=True):
    """A run in full. `timeline`: its last entries, oldest first; `dropped` earlier ones are gone.

    `visit`: how often it came to its step. `outcomes`: how the last visit of each step ended. `events`: how often what
    the journey listens to happened. `goals`: when each was reached.
    """

    journey_id: str
    visit: int
    outcomes: list[OutcomeView]
    events: dict[str, int]
    goals: dict[str, str]
    timeline: list[TrailView]
    dropped: int


def as_line(record: JourneyRecord) -> JourneyLine:
    """A journey in a list."""
    return JourneyLine(
        format_id(record.journey_id),
        record.name,
        record.status,
        record.live_version,
        format_time(record.created_ms),
        format_time(record.updated_ms),
    )


def as_version(version: JourneyVersion, record: JourneyRecord) -> JourneyVersionLine:
    """A version in a list."""
    return JourneyVersionLine(
        version.version,
        format_time(version.created_ms),
        version.created_by,
        version.version == record.live_version,
        version.note,
    )


def as_run(instance: Instance, external_id: str | None) -> RunLine:
    """A run in a list."""
    is_active = instance.status == "active"
    has_time = is_active and instance.due_ms < NEVER
    return RunLine(
        format_id(instance.instance_id),
        external_id,
        instance.version,
        instance.status,
        instance.step,
        _PHASES[instance.progress.phase] if is_active else "",
        format_time(instance.entered_ms),
        format_time(instance.due_ms) if has_time else None,
        format_time(instance.ended_ms) if instance.ended_ms else None,
        instance.reason,
        instance.is_test,
    )


def as_timeline(instance: Instance, external_id: str | None, graph: Graph | None) -> RunView:
    """A run in full."""
    progress = instance.progress
    return RunView(
        **msgspec.structs.asdict(as_run(instance, external_id)),
        journey_id=format_id(instance.journey_id),
        visit=progress.visit,
        outcomes=[
            OutcomeView(
                name,
                outcome.visit,
                outcome.result,
                format_time(outcome.at_ms),
                _messages(instance, graph, name, outcome.visit, outcome.asked),
            )
            for name, outcome in progress.outcomes.items()
        ],
        events={name: seen.count for name, seen in progress.seen.items()},
        goals={name: format_time(at_ms) for name, at_ms in progress.goals.items()},
        timeline=[
            TrailView(
                format_time(one.at_ms), one.step, one.visit, one.what, one.detail, WORDS.get(one.what, "")
            )
            for one in progress.trail
        ],
        dropped=progress.trail_dropped,
    )


def _messages(
    instance: Instance, graph: Graph | None, step: str, visit: int, asked: tuple[int, ...]
) -> list[str]:
    drawn = graph.steps.get(step) if graph is not None else None
    if drawn is None or not isinstance(drawn.spec, NotificationSpec):
        return []
    return [
        format_id(effect_id(instance.instance_id, step, visit, rung, at_ms))
        for rung, at_ms in enumerate(asked, OWN)
    ]
