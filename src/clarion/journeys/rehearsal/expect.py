"""What a test of a journey expects of its rehearsal, and in what it was disappointed, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from clarion.contracts.commands import Name
from clarion.journeys.durations import read_span, write_span
from clarion.journeys.rehearsal.figures import Posted, Result, RunStory, UserStory
from clarion.journeys.rehearsal.stage import read_instant
from clarion.journeys.rehearsal.words import Instant, RehearsalWords, Span, TenantWords

MILLION: Final = 1_000_000


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At least, at most; None: any."""

    min: float | None = None
    max: float | None = None


Figure: TypeAlias = float | Range
"""A number, or bounds."""


class MessageWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message; what is left out may be anything. `within`: how much earlier or later than `at` it may be.

    `at`: when it goes out, or (of one that is blocked) when it was decided. `why`: the rule that blocked or moved it.
    """

    step: str | None = None
    channel: str | None = None
    template: str | None = None
    at: Instant | None = None
    within: Span = "1m"
    status: str | None = None
    why: str | None = None


class UserExpectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one user. `messages`: all of them, in order. `steps`: come to in this order, others may lie between.

    `never`: steps that she does not come to. `status`, `reason`, `goals`: of her last run.
    """

    messages: list[MessageWords] | None = None
    steps: list[str] = []
    never: list[str] = []
    status: str | None = None
    reason: str | None = None
    goals: list[str] | None = None
    runs: int | None = None


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a rehearsal: of users by name, and of figures in all.

    `messages`: that went out, by channel (`total`: all). `steps`: runs that came to each. `goals`: runs that reached
    each. `ends`: runs by status. `blocked`, `moved`: messages by rule. `cost`: money. `per_hour`: messages of the
    fullest hour.
    """

    users: dict[Name, UserExpectation] = {}
    entered: Figure | None = None
    messages: dict[str, Figure] = {}
    steps: dict[str, Figure] = {}
    goals: dict[str, Figure] = {}
    ends: dict[str, Figure] = {}
    blocked: dict[str, Figure] = {}
    moved: dict[str, Figure] = {}
    cost: Figure | None = None
    per_hour: Figure | None = None


class CaseWords(RehearsalWords, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One case: a rehearsal, and what is expected of it."""

    name: Name
    expect: Expectation


class TestWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A test file. `journey`: the file of the definition, beside it ("": of the same name without `.test`)."""

    cases: list[CaseWords]
    journey: str = ""
    tenant: TenantWords = TenantWords()


def find_failures(expected: Expectation, result: Result) -> list[str]:
    """What is not as expected, a sentence each; none: all is."""
    return [*_of_users(expected, result), *_of_figures(expected, result)]


def _of_users(expected: Expectation, result: Result) -> Iterator[str]:
    stories = {story.user: story for story in result.users}
    for name, wanted in expected.users.items():
        story = stories.get(name)
        if story is None:
            yield f"{name}: there is no such user in the rehearsal"
            continue
        for failure in _of_user(wanted, story, result.begin_ms):
            yield f"{name}: {failure}"


def _of_user(wanted: UserExpectation, story: UserStory, begin_ms: int) -> Iterator[str]:
    if wanted.runs is not None and wanted.runs != len(story.runs):
        why = f" (refused: {', '.join(story.refused)})" if story.refused else ""
        yield f"entered {len(story.runs)} times, not {wanted.runs}{why}"
    if wanted.messages is not None:
        yield from _of_messages(wanted.messages, story.messages, begin_ms)
    last = story.runs[-1] if story.runs else None
    if last is None:
        if wanted.steps or wanted.status or wanted.goals:
            yield f"never entered the journey{' (' + ', '.join(story.refused) + ')' if story.refused else ''}"
        return
    yield from _of_run(wanted, last)


def _of_run(wanted: UserExpectation, run: RunStory) -> Iterator[str]:
    came = [line.step for line in run.timeline if line.what == "arrived"]
    way = " → ".join(came) or "no step"
    rest = iter(came)
    missed = next((step for step in wanted.steps if step not in rest), None)
    if missed is not None:
        yield f"did not come to {missed} in this order; her way was {way}"
    for step in wanted.never:
        if step in came:
            yield f"came to {step}, which she should not; her way was {way}"
    if wanted.status is not None and wanted.status != run.status:
        where = f" at {run.step}" if run.status == "active" else f" ({run.reason})" if run.reason else ""
        yield f"her run is {run.status}{where}, not {wanted.status}"
    if wanted.reason is not None and wanted.reason != run.reason:
        yield f"her run ended because of {run.reason or 'nothing'!r}, not {wanted.reason!r}"
    if wanted.goals is not None and sorted(wanted.goals) != sorted(run.goals):
        yield f"reached {_list(run.goals)}, not {_list(wanted.goals)}"


def _of_messages(wanted: Sequence[MessageWords], got: Sequence[Posted], begin_ms: int) -> Iterator[str]:
    for number, (one, posted) in enumerate(zip(wanted, got, strict=False), 1):
        wrong = ", ".join(_of_message(one, posted, begin_ms))
        if wrong:
            yield f"message {number} is {_tell(posted, begin_ms)}; {wrong}"
    for number, posted in enumerate(got[len(wanted) :], len(wanted) + 1):
        yield f"message {number} is not expected: {_tell(posted, begin_ms)}"
    for number, one in enumerate(wanted[len(got) :], len(got) + 1):
        yield f"there is no message {number} ({one.step or one.template or 'any'}); she got {len(got)}"


def _of_message(wanted: MessageWords, posted: Posted, begin_ms: int) -> Iterator[str]:
    pairs = (
        ("step", wanted.step, posted.step),
        ("channel", wanted.channel, posted.channel),
        ("template", wanted.template, posted.template),
        ("status", wanted.status, posted.status),
        ("why", wanted.why, posted.rule),
    )
    for what, asked, found in pairs:
        if asked is not None and asked != found:
            yield f"its {what} should be {asked}"
    if wanted.at is not None:
        at_ms = read_instant(wanted.at, begin_ms, "at")
        slack_ms = read_span(wanted.within) or 0
        if abs((posted.out_ms or posted.due_ms) - at_ms) > slack_ms:
            yield f"it should be at {_when(at_ms, begin_ms)}"


def _of_figures(expected: Expectation, result: Result) -> Iterator[str]:
    hours = [figures.by_hour for figures in result.channels.values()]
    fullest = max((sum(counts) for counts in zip(*hours, strict=True)), default=0)
    sent = {name: figures.sent for name, figures in result.channels.items()} | {"total": result.sent}
    single = (
        ("users who entered", expected.entered, result.entered),
        ("cost", expected.cost, result.cost_micros / MILLION),
        ("messages in the fullest hour", expected.per_hour, fullest),
    )
    for what, wanted, found in single:
        if wanted is not None:
            yield from _of_figure(what, wanted, found)
    steps = {name: figures.entered for name, figures in result.steps.items()}
    many: tuple[tuple[str, Mapping[str, Figure], Mapping[str, int]], ...] = (
        ("messages by {}", expected.messages, sent),
        ("runs that came to {}", expected.steps, steps),
        ("runs that reached {}", expected.goals, result.goals),
        ("runs that are {}", expected.ends, result.statuses),
        ("messages blocked by {}", expected.blocked, result.blocked),
        ("messages moved by {}", expected.moved, result.moved),
    )
    for what, wanted_by_name, found_by_name in many:
        for name, wanted in wanted_by_name.items():
            yield from _of_figure(what.format(name), wanted, found_by_name.get(name, 0))


def _of_figure(what: str, wanted: Figure, found: float) -> Iterator[str]:
    if isinstance(wanted, Range):
        if wanted.min is not None and found < wanted.min:
            yield f"{what}: {found:g}, at least {wanted.min:g} expected"
        if wanted.max is not None and found > wanted.max:
            yield f"{what}: {found:g}, at most {wanted.max:g} expected"
    elif abs(found - wanted) > 1e-9:  # noqa: PLR2004  money is counted in millionths
        yield f"{what}: {found:g}, {wanted:g} expected"


def _tell(posted: Posted, begin_ms: int) -> str:
    why = f" ({posted.rule})" if posted.rule else ""
    when = _when(posted.out_ms or posted.due_ms, begin_ms)
    return f"{posted.step} by {posted.channel}, {posted.status}{why}, at {when}"


def _when(at_ms: int, begin_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    after = "the start" if at_ms == begin_ms else f"+{write_span(at_ms - begin_ms)}"
    return f"{after} ({at:%a %Y-%m-%d %H:%M:%S} UTC)"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "no goal"
