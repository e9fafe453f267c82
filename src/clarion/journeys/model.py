"""Runs of journeys: where one stands, what reaches it, and what it asks of the world.

All times are UTC milliseconds of the store's clock. `advance` takes `Turn`s and gives `Moved`s; everything that it
needs comes in, so a run can be rehearsed on a clock of its own by the very same code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.contracts.journey_events import JourneyEvent
from clarion.journeys.graph import Graph, NotificationSpec, Rung

Status: TypeAlias = Literal["active", "completed", "exited", "failed", "stopped"]
"""`completed`: ran to its end. `exited`: an exit rule, an exit step, an ending goal or `on_error: exit`. `failed`: a
loop guard, or no version to go on with. `stopped`: by somebody (or her erasure)."""

JourneyStatus: TypeAlias = Literal["active", "paused", "draining", "stopped"]
"""`paused`: nothing moves, exits are heeded, entries are taken and wait. `draining`: no new runs. `stopped`: none."""

NEVER: Final = 1 << 52
"""Due time of a run that only an event can move."""

# Phases of a visit of a step, in their order.
ARRIVED: Final = 0
DELAYED: Final = 1
"""Its `delay` before the condition runs."""
ASKED: Final = 2
"""Its effect is decided and durable, the answer not yet known. Whoever finds a run here asks again, by the same ids."""
WAITING: Final = 3
"""A delay, wait, digest, a turn or a further channel is due at `Instance.due_ms`, or an event is awaited."""
RETRYING: Final = 4
"""The effect failed and is asked for again at `Instance.due_ms`, under the same ids."""


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a user's events of one name since the run began."""

    count: int
    first_ms: int
    last_ms: int
    received_ms: int = 0


class Trail(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry of a run's timeline. `what`: a word of `journeys.timeline`; `detail` holds no personal data."""

    step: str
    visit: int
    what: str
    at_ms: int
    detail: str = ""


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the last visit of a step ended: what `steps.ID` says in conditions.

    `at_ms`: when its effect was decided. `result`: `done`, `skipped`, `failed`, `timeout`, an arm's or event's name.
    `channels`: rungs asked so far, of a notification; `asked`: when each was, the timestamps of the derived ids.
    """

    visit: int
    at_ms: int
    result: str
    channels: int = 0
    asked: tuple[int, ...] = ()


class Progress(msgspec.Struct, array_like=True):
    """Where a run stands, as it is stored: ids, counts and times. Nothing personal is in it.

    `visit`: how often the present step was come to (1 at first). `asked_ms`: when its effect was decided. `rung`:
    which channel of it is asked. `tries`: failed tries of it. `until_ms`: when a wait, delay or digest ends.
    `moves`: visits in all. `known`: the last ids of events, so that a repeat is one. `sends`: (UTC day, how many).
    `came_ms`: when the step before this one was come to. `takes_back`: it was left, and its messages that have not gone
    out are taken back.
    """

    phase: int = ARRIVED
    visit: int = 1
    arrived_ms: int = 0
    asked_ms: int = 0
    rung: int = 0
    tries: int = 0
    until_ms: int = 0
    moves: int = 0
    visits: dict[str, int] = {}
    seen: dict[str, Seen] = {}
    known: list[bytes] = []
    outcomes: dict[str, Outcome] = {}
    goals: dict[str, int] = {}
    trail: list[Trail] = []
    trail_dropped: int = 0
    sends: tuple[int, int] = (0, 0)
    came_ms: int = 0
    takes_back: bool = False


class Instance(msgspec.Struct, frozen=True, array_like=True):
    """One user's run of one version of a journey. `seq` counts its committed transitions: each compares and sets it.

    `step`: the id of the present step. `due_ms`: when it is to be looked at next. `context_version`: which version of
    its private context belongs to this state (0: it has none). `ended_ms` 0: it has not.
    """

    instance_id: bytes
    tenant_id: bytes
    journey_id: bytes
    version: int
    user_id: int
    region: str
    is_test: bool
    status: Status
    seq: int
    step: str
    due_ms: int
    progress: Progress
    context_version: int
    entered_ms: int
    ended_ms: int = 0
    reason: str = ""


class Context(msgspec.Struct):
    """What a run knows that may be personal: kept in the home region, sealed with the user's own key.

    `data`: what the trigger brought, fetches added. `events`: the properties of the last event of each name. `items`:
    what digests collected, by step. `external_id`: the tenant's name of the user.
    """

    data: dict[str, Any] = {}
    events: dict[str, dict[str, Any]] = {}
    items: dict[str, list[dict[str, Any]]] = {}


class Facts(msgspec.Struct, frozen=True):
    """What is known of a user at the moment of a turn, as far as the step `needs` it.

    `user`: profile fields and attributes, flat. `messages`: (step, visit) → furthest status of its messages (`queued`,
    `sent`, `delivered`, `engaged`, `failed`, `blocked`, …). `timezone`: IANA, never empty. `missing`: what could not be
    read (a store was away): conditions over it are put off, not guessed.
    """

    timezone: str = "UTC"
    user: Mapping[str, Any] = {}
    features: Mapping[str, Any] = {}
    messages: Mapping[tuple[str, int], str] = {}
    missing: frozenset[str] = frozenset()


class Due(msgspec.Struct, frozen=True):
    """Its time has come (or it is looked at to see whether it has)."""


class Occurred(msgspec.Struct, frozen=True):
    """The user did something. `received_ms`: when we heard of it, which orders events; `at_ms`: when she did it."""

    event_id: bytes
    name: str
    at_ms: int
    received_ms: int
    properties: Mapping[str, Any] = {}


class Reported(msgspec.Struct, frozen=True):
    """A message of the run got further: `status` is `sent`, `delivered`, `engaged` or `failed`."""

    event_id: bytes
    step: str
    visit: int
    status: str
    at_ms: int


class Done(msgspec.Struct, frozen=True):
    """What came of an effect. `error` "": it worked. `final`: trying again would not help.

    `retry_ms`: not before so many ms (a turn of a throttle, `Retry-After`). `data`: what to add to the context.
    `result`: a word for the timeline (a notification's status, an HTTP status). `detail`: why, for the timeline too.
    """

    step: str
    visit: int
    rung: int
    result: str = ""
    error: str = ""
    final: bool = False
    retry_ms: int = 0
    data: Mapping[str, Any] = {}
    detail: str = ""


class Ended(msgspec.Struct, frozen=True):
    """Somebody ends the run: an operator, an erasure, a stopped journey."""

    reason: str
    status: Status = "stopped"


Input: TypeAlias = Due | Occurred | Reported | Done | Ended


class Turn(msgspec.Struct, frozen=True):
    """One run with what reached it, in order. `context` None: it was not read, for no step within reach needs it.

    `held`: its journey is paused. What reached it is heeded, exits too, and no step is taken.
    """

    instance: Instance
    graph: Graph
    inputs: tuple[Input, ...]
    facts: Facts = Facts()
    context: Context | None = None
    held: bool = False


class Send(msgspec.Struct, frozen=True):
    """Tell the user, as the notification `notification_id` (derived: the same whenever it is asked again).

    `at_ms`: when it was decided, the timestamp of that id. `rung`: -1 for the step's own channels, else that rung's.
    """

    instance: Instance
    step: str
    visit: int
    rung: int
    at_ms: int
    notification_id: bytes
    spec: NotificationSpec
    channels: tuple[str, ...]
    template: str


class Ask(msgspec.Struct, frozen=True):
    """Any other effect: fetch, webhook, update_profile, start_journey, throttle. `effect_id`: 16 bytes, derived."""

    instance: Instance
    step: str
    visit: int
    rung: int
    at_ms: int
    effect_id: bytes
    timeout_ms: int
    spec: Any


class Recall(msgspec.Struct, frozen=True):
    """Cancel what of these notifications has not gone out: the run that asked for them is over."""

    instance: Instance
    notification_ids: tuple[bytes, ...]


Command: TypeAlias = Send | Ask | Recall


class Moved(msgspec.Struct, frozen=True):
    """What became of a turn. `instance.seq` is one more than before where anything is to be committed (`changed`).

    `context` None: it stays as it is. `commands` are carried out only after the commit. `events`: what happened, for
    the log and the counts.
    """

    instance: Instance
    changed: bool
    commands: tuple[Command, ...] = ()
    events: tuple[JourneyEvent, ...] = ()
    context: Context | None = None


__all__ = [
    "ARRIVED",
    "ASKED",
    "DELAYED",
    "NEVER",
    "RETRYING",
    "WAITING",
    "Ask",
    "Command",
    "Context",
    "Done",
    "Due",
    "Ended",
    "Facts",
    "Input",
    "Instance",
    "JourneyStatus",
    "Moved",
    "Occurred",
    "Outcome",
    "Progress",
    "Recall",
    "Reported",
    "Rung",
    "Seen",
    "Send",
    "Status",
    "Trail",
    "Turn",
]
