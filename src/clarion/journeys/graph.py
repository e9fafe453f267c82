"""What a definition is compiled to: steps that name one another by their ids, with everything settled that can be.

Durations are milliseconds. `END` is where a run ends well: after the last step, or by a `goto` that leads nowhere.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

import msgspec

from clarion.contracts.channels import Channel
from clarion.contracts.commands import Optimization
from clarion.journeys.conditions import Condition

END: Final = ""
"""The id of no step: the run is completed."""

MAX_STEPS: Final = 1_000
"""Steps of a definition. The largest that people draw have some dozens."""

MAX_VISITS: Final = 1_000
"""Loop guard: visits of steps in one run (reliability 2.11)."""

OnError: TypeAlias = Literal["skip", "exit", "retry"]
Trigger: TypeAlias = Literal["api", "event", "segment", "schedule", "date"]
ReEntry: TypeAlias = Literal["never", "always", "after", "one_at_a_time"]

PROFILE: Final = 1
CONTEXT: Final = 2
FEATURES: Final = 4
STEPS: Final = 8
"""What must be read before a step can be taken: bits of `Step.needs`. `STEPS`: how earlier messages did."""


class Delay(msgspec.Struct, frozen=True):
    """How long to wait. Exactly one kind, in this order of precedence: attribute, clock time, span.

    `after_ms`: a span. `clock` (minutes after midnight) and `weekdays` (0 Monday to 6; empty: any): the first such
    moment in the user's zone after the span. `attribute`: a dotted name of an instant or date (`user.trial_ends_at`,
    `context.appointment`), moved by `offset_ms`; a moment that is past is now.
    """

    after_ms: int = 0
    clock: int | None = None
    weekdays: tuple[int, ...] = ()
    attribute: str = ""
    offset_ms: int = 0
    timezone: str = ""


class EventMatch(msgspec.Struct, frozen=True):
    """An event by name, and what its properties must meet (`event.amount > 10` or a map of equal values, compiled)."""

    event: str
    condition: Condition | None = None


class Rung(msgspec.Struct, frozen=True):
    """A further channel of a notification step: taken `after_ms` after the one before, unless the metric was met."""

    channels: tuple[Channel, ...]
    after_ms: int
    template: str = ""


class NotificationSpec(msgspec.Struct, frozen=True, tag="notification"):
    """Tell the user. `rungs`: further channels, in order; `until`: what stops them.

    `until`: a tenant's event (`otp_verified`), or `sent`, `delivered`, `engaged` of the message itself. `category` "":
    that of the template, `marketing` where it has none.
    """

    template: str
    channels: tuple[Channel, ...] = ()
    category: str = ""
    optimization: Optimization = Optimization()
    priority: int = 5
    data: dict[str, Any] = {}
    rungs: tuple[Rung, ...] = ()
    until: EventMatch | None = None
    expires_ms: int = 0


class DelaySpec(msgspec.Struct, frozen=True, tag="delay"):
    """Wait for a moment."""

    delay: Delay


class WaitSpec(msgspec.Struct, frozen=True, tag="wait"):
    """Wait for an event, `timeout_ms` at most (0: for ever), then go on at `on_timeout` (None: at the next step).

    `of_step`: an event of the messages of this step (`delivered`, `engaged`, …) and not of the user.
    """

    match: tuple[EventMatch, ...]
    timeout_ms: int
    on_event: str | None = None
    on_timeout: str | None = None
    of_step: str = ""


class Case(msgspec.Struct, frozen=True):
    """One way out of a branch: `condition` None is `else`. `goto` None: the next step."""

    condition: Condition | None
    goto: str | None
    label: str = ""


class BranchSpec(msgspec.Struct, frozen=True, tag="branch"):
    """The first case that holds; none: the next step."""

    cases: tuple[Case, ...]


class Arm(msgspec.Struct, frozen=True):
    """One arm of a split; weights are relative."""

    name: str
    weight: float
    goto: str | None
    is_holdout: bool = False


class SplitSpec(msgspec.Struct, frozen=True, tag="split"):
    """One arm a user, always the same: by hash of (journey, `salt`, user)."""

    arms: tuple[Arm, ...]
    salt: str


class DigestSpec(msgspec.Struct, frozen=True, tag="digest"):
    """Collect events for `window` (or until `most`), then go on with `steps.ID.items` and `.count`."""

    match: tuple[EventMatch, ...]
    window: Delay
    most: int = 100
    on_empty: str | None = None


class ThrottleSpec(msgspec.Struct, frozen=True, tag="throttle"):
    """Pass `limit` runs in `per_ms`, of the user or of all; others wait (`on_limit` None) or go elsewhere."""

    limit: int
    per_ms: int
    scope: Literal["user", "journey"] = "user"
    on_limit: str | None = None


class FetchSpec(msgspec.Struct, frozen=True, tag="fetch"):
    """Read a JSON document and map parts of it into the context: `into` name → dotted path ("" is the whole)."""

    url: str
    method: Literal["GET", "POST"] = "GET"
    headers: dict[str, str] = {}
    body: dict[str, Any] | None = None
    into: dict[str, str] = {}


class ProfileSpec(msgspec.Struct, frozen=True, tag="update_profile"):
    """Set attributes of the user; None removes one."""

    attributes: dict[str, Any]


class WebhookSpec(msgspec.Struct, frozen=True, tag="webhook"):
    """Tell a URL, signed by Standard Webhooks; its message id is that of the effect, so a repeat is known as one."""

    url: str
    body: dict[str, Any] | None = None
    headers: dict[str, str] = {}


class StartSpec(msgspec.Struct, frozen=True, tag="start_journey"):
    """Let the user enter another journey (by name or id) of the tenant."""

    journey: str
    context: dict[str, Any] = {}


class GoalSpec(msgspec.Struct, frozen=True, tag="goal"):
    """Count a goal as reached here."""

    name: str


class ExitSpec(msgspec.Struct, frozen=True, tag="exit"):
    """End the run."""

    reason: str = ""


class GotoSpec(msgspec.Struct, frozen=True, tag="goto"):
    """Go on elsewhere."""

    goto: str


Spec: TypeAlias = (
    NotificationSpec
    | DelaySpec
    | WaitSpec
    | BranchSpec
    | SplitSpec
    | DigestSpec
    | ThrottleSpec
    | FetchSpec
    | ProfileSpec
    | WebhookSpec
    | StartSpec
    | GoalSpec
    | ExitSpec
    | GotoSpec
)

EFFECTS: Final = (NotificationSpec, FetchSpec, ProfileSpec, WebhookSpec, StartSpec, ThrottleSpec)
"""Kinds of steps that ask something of the outside: the run waits for the answer (`model.Done`)."""


class Step(msgspec.Struct, frozen=True):
    """One step. `next`: the id of the step after it, END behind the last. `path`: its place in the definition.

    Order: `delay`, then `condition` (where it does not hold the step is skipped), then the step itself. `needs`: what
    must be read before an `advance` that begins here, closed over the steps that may follow at the same instant.
    `timeout_ms`: how long one try of its effect may take. `retries`: how often a failed effect is tried again before
    `on_error` decides (`retry`: without end, ever more slowly).
    """

    id: str
    next: str
    path: str
    spec: Spec
    condition: Condition | None = None
    delay: Delay | None = None
    on_error: OnError = "skip"
    retries: int = 3
    timeout_ms: int = 10_000
    needs: int = 0


class ExitRule(msgspec.Struct, frozen=True):
    """What ends a run wherever it stands: an event, or a condition that is looked at whenever the run moves."""

    name: str
    match: EventMatch | None = None
    condition: Condition | None = None


class Goal(msgspec.Struct, frozen=True):
    """What the journey is for: reached by an event; with `ends`, that also ends the run."""

    name: str
    match: EventMatch
    ends: bool = False


class Entry(msgspec.Struct, frozen=True):
    """How runs begin. `kind` says which of the fields count.

    event: `match`. segment: `segment`, on entering it. schedule: `cron` (five fields) in `timezone`, for the members
    of `segment`. date: `delay` has the attribute and its offset, each year again with `yearly`.
    Runs may always be begun by the API too. `audience`: who may enter at all.
    """

    kind: Trigger = "api"
    match: EventMatch | None = None
    segment: str = ""
    cron: str = ""
    timezone: str = ""
    date: Delay | None = None
    yearly: bool = False
    audience: Condition | None = None
    audience_segment: str = ""
    reentry: ReEntry = "one_at_a_time"
    reentry_after_ms: int = 0


class Graph(msgspec.Struct, frozen=True):
    """A definition, compiled. `first`: where runs begin. `events`: every name of a user's event that it listens to."""

    name: str
    first: str
    steps: dict[str, Step]
    entry: Entry
    exits: tuple[ExitRule, ...] = ()
    goals: tuple[Goal, ...] = ()
    events: frozenset[str] = frozenset()
    sends_per_day: int = 20
    """Cost guard: messages that one run may ask for on one UTC day."""

    max_run_ms: int = 0
    """How long a run may last (0: 400 days)."""
