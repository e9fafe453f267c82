"""Steps that steer: delays, waits, branches, splits, digests, throttles, goals, exits and jumps."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from clarion.journeys.durations import read_span
from clarion.journeys.findings import show
from clarion.journeys.graph import (
    END,
    Arm,
    BranchSpec,
    Case,
    DelaySpec,
    DigestSpec,
    EventMatch,
    ExitSpec,
    GoalSpec,
    GotoSpec,
    Spec,
    SplitSpec,
    ThrottleSpec,
    WaitSpec,
)
from clarion.journeys.reading.delays import is_delay_text, read_delay, read_delay_fields
from clarion.journeys.reading.fields import Fields, Found, is_object, items, join
from clarion.journeys.reading.rules import EVENT, MATCH, read_condition, read_match, read_matches
from clarion.journeys.reading.ways import GOTO, Setting

IF: Final = ("if", "condition", "when", "expression", "rule", "test")
ELSE: Final = (
    "else",
    "default",
    "otherwise",
    "default_next",
    "else_goto",
    "on_false",
    "if_false",
    "false",
    "no",
)
THEN: Final = ("then", "on_true", "if_true", "true", "yes")
CASES: Final = ("conditions", "branches", "cases", "rules", "paths")
ARMS: Final = ("arms", "variants", "branches", "splits", "paths", "variations")

MAX_CASES: Final = 100
MAX_ITEMS: Final = 1_000
MAX_WEIGHT: Final = 1e9

_TIMEOUT: Final = ("timeout", "max_wait", "timeout_after", "within")
_ON_TIMEOUT: Final = ("on_timeout", "timeout_goto", "timeout_step", "timeout_next")
_ON_EVENT: Final = ("on_event", "on_success", "event_goto", "on_match", "on_received")
_MESSAGE_WORDS: Final = {
    "sent": "sent",
    "delivered": "delivered",
    **dict.fromkeys(("engaged", "opened", "open", "clicked", "click", "read"), "engaged"),
    "failed": "failed",
    "blocked": "blocked",
}
_RATE: Final = re.compile(r"(\d{1,9})\s*(?:/|per)\s*(?:an?\s+)?(\d*\s*[a-z]+)")
_SCOPES: Final[dict[str, Literal["user", "journey"]]] = {
    **dict.fromkeys(("user", "per_user", "recipient"), "user"),
    **dict.fromkeys(("journey", "global", "all", "tenant"), "journey"),
}


def read_delay_step(fields: Fields, setting: Setting) -> Spec | None:
    """Wait for a moment."""
    found = fields.peek("delay", "duration", "wait")
    is_own = found is not None and (is_object(found.value) or _is_named_moment(found.value))
    if found is not None and is_own:
        fields.take(found.name)
        delay = read_delay(found, fields, setting.zone)
    else:
        delay = read_delay_fields(fields, setting.zone)
    return None if delay is None else DelaySpec(delay)


def read_wait(fields: Fields, setting: Setting) -> Spec | None:
    """Wait for an event; without one it is a delay."""
    named = fields.peek("for", "wait_for", "wait")
    is_event = named is not None and not is_delay_text(named.value) and not _is_delay_map(named.value)
    if not is_event and not fields.has(
        *EVENT, *MATCH, *_TIMEOUT, *_ON_TIMEOUT, *_ON_EVENT, "of_step", "message_of"
    ):
        return read_delay_step(fields, setting)
    found = fields.take(*EVENT) or (fields.take(named.name) if is_event and named is not None else None)
    condition = read_match(fields)
    of_step = fields.text("of_step", "message_of")
    _unfold_timeout(fields)
    timeout_ms = fields.span(*_TIMEOUT, "max_duration", "duration", *([] if is_event else ["for"]))
    on_timeout = _lead(fields, setting, *_ON_TIMEOUT, "else")
    on_event = _lead(fields, setting, *_ON_EVENT, "then")
    if found is None:
        fields.report.error(fields.path, "it does not say what to wait for: add event, or delay")
        return None
    matches = read_matches(found, fields, condition)
    if of_step:
        matches = tuple(_of_message(match, found, fields) for match in matches)
    if timeout_ms == 0:
        fields.report.note(
            fields.path, "it waits for as long as the run may last: add a timeout if it should go on without"
        )
    return WaitSpec(matches, timeout_ms, on_event, on_timeout, of_step) if matches else None


def _unfold_timeout(fields: Fields) -> None:
    """`timeout: {after: 2d, goto: …}`."""
    found = fields.peek("timeout")
    if found is not None and is_object(found.value) and set(found.value) & {"after", "duration", *GOTO}:
        renamed = {"after": "max_wait", "duration": "max_wait", **dict.fromkeys(GOTO, "timeout_goto")}
        fields.unfold("timeout", renamed=renamed)


def _of_message(match: EventMatch, found: Found, fields: Fields) -> EventMatch:
    """What a message does, by one of our own words."""
    word = _MESSAGE_WORDS.get(match.event.lower())
    if word is None:
        fields.report.error(
            found.path,
            f"{show(match.event)} is nothing that a message does: sent, delivered, engaged, failed",
        )
    return EventMatch(word or match.event, match.condition)


def read_branch(fields: Fields, setting: Setting) -> Spec | None:
    """The first case that holds."""
    cases: list[Case] = []
    found = fields.take(*CASES)
    if fields.has(*IF) and fields.has(*THEN, "goto"):
        cases += _read_own_case(fields, setting)
    elif found is not None and is_object(found.value) and fields.has(*IF):
        cases += _read_yes_or_no(found, fields, setting)
        found = None
    elif found is None and fields.has(*IF, *THEN):
        cases += _read_own_case(fields, setting)
    if found is not None:
        if len(items(found)) > MAX_CASES:
            fields.report.error(found.path, f"a branch has {MAX_CASES} ways at most")
            return None
        for item in items(found):
            cases += _read_case(item, fields, setting)
    otherwise = fields.take(*ELSE)
    if otherwise is not None:
        cases.append(Case(None, setting.places.lead(otherwise, fields), "else"))
    if not cases:
        fields.report.error(
            fields.path, 'it has no ways: add conditions, such as [{"if": "…", "goto": "…"}, {"else": "…"}]'
        )
        return None
    _check_order(cases, fields)
    return BranchSpec(tuple(cases))


def _read_own_case(fields: Fields, setting: Setting) -> list[Case]:
    """`if`, `then` and `else` at the step itself."""
    found = fields.take(*IF)
    then = fields.take(*THEN) or fields.take("goto")
    condition = None if found is None else read_condition(found, fields)
    lead = None if then is None else setting.places.lead(then, fields)
    if found is None:
        fields.report.error(fields.path, "it does not say when to go there: add if")
    return [] if condition is None else [Case(condition, lead, "then")]


def _read_yes_or_no(found: Found, fields: Fields, setting: Setting) -> list[Case]:
    """`condition` at the step, and `branches: {"true": …, "false": …}`."""
    ways, asked = fields.inner(found), fields.take(*IF)
    condition = None if asked is None else read_condition(asked, fields)
    if ways is None or condition is None:
        return []
    yes, no = ways.take(*THEN), ways.take(*ELSE)
    ways.close()
    cases = [Case(condition, None if yes is None else setting.places.lead(yes, ways), "then")]
    return cases if no is None else [*cases, Case(None, setting.places.lead(no, ways), "else")]


def _read_case(item: Found, fields: Fields, setting: Setting) -> list[Case]:
    case = fields.inner(item)
    if case is None:
        return []
    label = case.text("label", "name", "id")
    found, otherwise, goto = case.take(*IF), case.take(*ELSE), case.take(*GOTO)
    case.close()
    lead = None if goto is None else setting.places.lead(goto, case)
    cases: list[Case] = []
    if found is not None and _is_else(found.value):
        cases.append(Case(None, lead, label or "else"))
    elif found is not None:
        condition = read_condition(found, case)
        if condition is not None:
            cases.append(Case(condition, lead, label))
    if otherwise is not None:
        named = otherwise.value is True or (isinstance(otherwise.value, str) and _is_else(otherwise.value))
        way = lead if named else setting.places.lead(otherwise, case)
        cases.append(Case(None, way, label or "else"))
    if found is None and otherwise is None:
        if goto is None:
            case.report.error(item.path, "this way has neither if nor else: say when it is taken")
        else:
            cases.append(Case(None, lead, label or "else"))
    return cases


def _check_order(cases: list[Case], fields: Fields) -> None:
    first = next((i for i, case in enumerate(cases) if case.condition is None), len(cases))
    if first < len(cases) - 1:
        fields.report.warn(fields.path, "ways after else are never taken: put else last")


def _is_else(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() in {"else", "default", "otherwise", "true"}


def read_split(fields: Fields, setting: Setting) -> Spec | None:
    """One arm a user."""
    found = fields.take(*ARMS)
    salt = fields.text("salt", "seed", "experiment", "experiment_id", default=fields.step)
    holdout = fields.number(
        "holdout", "hold_out", "control_percent", "holdout_percent", default=0, low=0, high=99.9
    )
    arms: list[Arm] = []
    for item in [] if found is None else _arm_items(found):
        arm = _read_arm(item, len(arms), fields, setting)
        arms += [] if arm is None else [arm]
    if found is None or not arms:
        fields.report.error(
            fields.path, 'it has no arms: add arms, such as [{"name": "a", "weight": 50, "goto": "…"}, …]'
        )
        return None
    whole = sum(arm.weight for arm in arms)
    if whole <= 0:
        fields.report.error(found.path, "all arms have weight 0: give at least one of them a weight")
        return None
    names = [arm.name for arm in arms]
    if len(set(names)) < len(names):
        fields.report.error(found.path, "two arms have the same name: they could not be told apart")
    if len(arms) > MAX_CASES:
        fields.report.error(found.path, f"a split has {MAX_CASES} arms at most")
    if holdout:
        arms.append(Arm("holdout", whole * holdout / (100 - holdout), END, is_holdout=True))
    return SplitSpec(tuple(arms), salt)


def _arm_items(found: Found) -> list[Found]:
    """Arms of a list, or of a map of names to weights or arms."""
    if not is_object(found.value):
        return items(found)
    listed: list[Found] = []
    for name, value in found.value.items():
        arm = {"name": name, **value} if is_object(value) else {"name": name, "weight": value}
        listed.append(Found(arm, name, join(found.path, name)))
    return listed


def _read_arm(item: Found, number: int, fields: Fields, setting: Setting) -> Arm | None:
    arm = fields.inner(item)
    if arm is None:
        return None
    name = arm.text("name", "id", "label", "variant", "key", default=chr(ord("a") + number % 26))
    found = arm.take("weight", "percent", "percentage", "share", "probability", "allocation", "ratio")
    is_holdout = arm.flag("holdout", "is_holdout", "control", "is_control")
    goto = arm.take(*GOTO)
    arm.close()
    weight: Any = 1 if found is None else found.value
    if isinstance(weight, str):
        weight = _percent(weight)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= MAX_WEIGHT:
        arm.report.error(
            item.path if found is None else found.path, "a weight is a number of 0 or more, such as 50"
        )
        return None
    lead = (END if is_holdout else None) if goto is None else setting.places.lead(goto, arm)
    return Arm(name, float(weight), lead, is_holdout)


def _percent(text: str) -> float | None:
    digits = text.strip().removesuffix("%").strip()
    return float(digits) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", digits) else None


def read_digest(fields: Fields, setting: Setting) -> Spec | None:
    """Collect events, then go on."""
    found = fields.take(*EVENT, "collect")
    condition = read_match(fields)
    named = fields.take("window", "duration", "every", "period", "collect_for", "for", "schedule")
    until = None
    if named is None and fields.has("until", "at", "weekday", "delay"):
        until = read_delay_fields(fields, setting.zone)
    elif named is not None:
        until = read_delay(_repeated(named), fields, setting.zone)
    most = fields.integer(
        "most", "max", "limit", "max_items", "max_events", default=100, low=1, high=MAX_ITEMS
    )
    on_empty = _lead(fields, setting, "on_empty", "if_empty", "empty_goto", "else")
    if found is None:
        fields.report.error(fields.path, "it does not say what to collect: add event")
        return None
    if named is None and until is None:
        fields.report.error(fields.path, "it does not say for how long to collect: add window, such as 24h")
    matches = read_matches(found, fields, condition)
    return DigestSpec(matches, until, most, on_empty) if matches and until is not None else None


def _repeated(found: Found) -> Found:
    """`hourly`, `daily`, `weekly` as the spans that they are."""
    spans = {"hourly": "1h", "hour": "1h", "daily": "1d", "day": "1d", "weekly": "7d", "week": "7d"}
    value = (
        spans.get(found.value.strip().lower(), found.value) if isinstance(found.value, str) else found.value
    )
    return Found(value, found.name, found.path)


def read_throttle(fields: Fields, setting: Setting) -> Spec | None:
    """Pass so many runs in a span."""
    rate = fields.take("rate")
    limit = fields.integer("limit", "max", "count", "max_runs", default=0, low=1, high=10**9)
    per_ms = fields.span("per", "period", "window", "interval", "duration", "every")
    word = fields.text("scope", "by", default="user")
    on_limit = _lead(fields, setting, "on_limit", "on_limited", "on_exceeded", "else")
    if rate is not None:
        read = _RATE.fullmatch(rate.value.strip().lower()) if isinstance(rate.value, str) else None
        span = (
            None if read is None else read_span(read[2] if read[2][0].isdigit() else f"1 {read[2].strip()}")
        )
        if read is None or span is None:
            fields.report.error(rate.path, f"{show(rate.value)} is no rate, such as 100/hour")
            return None
        limit, per_ms = int(read[1]), span
    scope = _SCOPES.get(word.lower())
    if scope is None:
        fields.report.error(fields.path, f"there is no scope {show(word)}: there are user and journey")
        return None
    if not limit or not per_ms:
        fields.report.error(
            fields.path, 'it does not say how many in how long: add limit and per, such as 1 and "24h"'
        )
        return None
    return ThrottleSpec(limit, per_ms, scope, on_limit)


def read_goal(fields: Fields, setting: Setting) -> Spec | None:
    """Count a goal."""
    del setting
    return GoalSpec(fields.text("goal", "goal_name", "metric") or fields.text("name") or fields.step)


def read_exit(fields: Fields, setting: Setting) -> Spec | None:
    """End the run."""
    del setting
    return ExitSpec(fields.text("reason", "status", "result", "outcome"))


def read_goto(fields: Fields, setting: Setting) -> Spec | None:
    """Go on elsewhere."""
    found = fields.take("goto", "target", "to", "next", "step", "goto_step", "go_to", "next_step")
    if found is None:
        fields.report.error(fields.path, "it does not say where to: add goto")
        return None
    lead = setting.places.lead(found, fields)
    if lead is None:
        fields.report.error(found.path, "it leads to where it would go anyway: name a step, or leave it out")
        return None
    return GotoSpec(lead)


def _is_named_moment(value: object) -> bool:
    return isinstance(value, str) and read_span(value) is None


def _lead(fields: Fields, setting: Setting, *names: str) -> str | None:
    found = fields.take(*names)
    return None if found is None else setting.places.lead(found, fields)


def _is_delay_map(value: object) -> bool:
    return is_object(value) and not set(value) & {*EVENT, "name", "match"}
