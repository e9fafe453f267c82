"""How runs begin, end and count: the trigger, the audience, exit conditions, goals and settings."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from clarion.journeys.durations import read_span
from clarion.journeys.findings import show
from clarion.journeys.graph import Delay, Entry, ExitRule, Goal, ReEntry, Trigger
from clarion.journeys.reading.delays import read_clock, read_zone
from clarion.journeys.reading.fields import Fields, Found, is_object, items
from clarion.journeys.reading.rules import EVENT, read_condition, read_event, read_match, read_matches
from clarion.journeys.schedules import Cron, read_cron

KINDS: Final[dict[str, Trigger]] = {
    **dict.fromkeys(("api", "manual", "api_call", "rest", "programmatic"), "api"),
    **dict.fromkeys(("event", "user_event", "custom_event", "event_trigger", "behavior", "track"), "event"),
    **dict.fromkeys(
        ("segment", "segment_entry", "segment_entered", "segment_enter", "enters_segment", "audience"),
        "segment",
    ),
    **dict.fromkeys(("schedule", "scheduled", "cron", "recurring", "time"), "schedule"),
    **dict.fromkeys(("date", "date_attribute", "attribute", "anniversary", "date_based", "birthday"), "date"),
}
REENTRY: Final = (
    "reentry",
    "re_entry",
    "allow_reentry",
    "allow_re_entry",
    "reentry_policy",
    "re_entry_policy",
)
REENTRY_AFTER: Final = ("reentry_after", "re_entry_after", "reentry_period", "reentry_delay", "cooldown")
AUDIENCE: Final = (
    "audience_rules",
    "audience",
    "entry_conditions",
    "entry_rules",
    "eligibility",
    "audience_rule",
)
EXITS: Final = ("exit_conditions", "exit_condition", "exits", "exit_on", "exit_events", "exit_rules", "exit")
GOALS: Final = ("goals", "goal", "success_metric", "success_event", "conversion_event", "conversion")

_POLICIES: Final[dict[str, ReEntry]] = {
    **dict.fromkeys(("never", "once", "no", "false", "none", "deny"), "never"),
    **dict.fromkeys(("always", "every_time", "multiple", "unlimited", "concurrent"), "always"),
    **dict.fromkeys(
        ("one_at_a_time", "after_exit", "after_completion", "single", "yes", "true", "allow", "allowed"),
        "one_at_a_time",
    ),
    "after": "after",
    "after_period": "after",
}
_DATE_OFFSET: Final = ("offset", "shift", "delay")
_BARE: Final = re.compile(r"[A-Za-z_][\w-]*")
_AT: Final = ("at", "time", "clock", "time_of_day")


def read_entry(top: Fields, settings: Fields, zone: str) -> Entry:
    """How runs begin, from `trigger`, the audience and the re-entry policy."""
    found = top.take("trigger", "triggers", "entry", "entry_trigger", "start")
    entry = Entry()
    trigger = None
    if found is not None:
        entry, trigger = _read_trigger(found, top, zone)
    entry = _read_audience(top, entry)
    entry = _read_reentry([top, settings, *([] if trigger is None else [trigger])], entry)
    if trigger is not None:
        trigger.close()
    return entry


def _read_trigger(found: Found, top: Fields, zone: str) -> tuple[Entry, Fields | None]:
    listed = items(found)
    if len(listed) != 1:
        top.report.error(
            found.path, "a journey has one trigger: write one journey for each, or let the API trigger it too"
        )
        return Entry(), None
    found = listed[0]
    if isinstance(found.value, str):
        word = found.value.strip()
        if KINDS.get(word.lower()) == "api":
            return Entry(), None
        match = read_event(found, top, None)
        return Entry(kind="event", match=match), None
    trigger = top.inner(found)
    if trigger is None:
        return Entry(), None
    trigger.unfold("config", "params", "settings")
    kind = _read_kind(trigger)
    read = {"event": _read_event, "segment": _read_segment, "schedule": _read_schedule, "date": _read_date}
    return (read[kind](trigger, zone) if kind in read else Entry()), trigger


def _read_kind(trigger: Fields) -> Trigger:
    found = trigger.take("type", "kind", "trigger_type")
    word = found.value.strip().lower() if found is not None and isinstance(found.value, str) else ""
    if word in KINDS:
        return KINDS[word]
    guessed: Trigger | None = (
        "event"
        if trigger.has(*EVENT)
        else "segment"
        if trigger.has("segment", "segment_id") and not trigger.has("cron", "schedule")
        else "schedule"
        if trigger.has("cron", "schedule")
        else "date"
        if trigger.has("attribute", "date_attribute")
        else None
    )
    if found is not None or guessed is None:
        given = "its type is missing" if found is None else f"there is no trigger {show(found.value)}"
        trigger.report.error(
            trigger.path if found is None else found.path,
            f"{given}: there are api, event (with event), segment, schedule (with cron) and date (with attribute)",
        )
    return guessed or "api"


def _read_event(trigger: Fields, zone: str) -> Entry:
    del zone
    found = trigger.take(*EVENT, "name")
    rule = trigger.take("condition", "conditions", "if")
    condition = read_match(trigger) if rule is None else read_condition(rule, trigger, "event")
    if found is None:
        trigger.report.error(trigger.path, "it does not say which event: add event, its name")
        return Entry(kind="event")
    return Entry(kind="event", match=read_event(found, trigger, condition))


def _read_segment(trigger: Fields, zone: str) -> Entry:
    del zone
    segment = trigger.text("segment", "segment_id", "segment_name", "name", "audience")
    if not segment:
        trigger.report.error(trigger.path, "it does not say which segment: add segment, its name")
    return Entry(kind="segment", segment=segment)


def _read_schedule(trigger: Fields, zone: str) -> Entry:
    found = trigger.take("cron", "schedule", "cron_expression", "expression", "every")
    segment = trigger.text("segment", "segment_id", "segment_name", "audience")
    zone = read_zone(trigger, "timezone", "tz", "time_zone", default=zone)
    clock = trigger.take(*_AT)
    if found is None:
        trigger.report.error(
            trigger.path, 'it does not say when: add cron, such as "0 9 * * 1" (Mondays at 09:00)'
        )
        return Entry(kind="schedule", segment=segment, timezone=zone)
    minutes = None if clock is None else read_clock(str(clock.value))
    if clock is not None and minutes is None:
        trigger.report.error(clock.path, f"{show(clock.value)} is no time of day, such as 09:00")
    cron = read_cron(found.value, minutes or 0) if isinstance(found.value, str) else None
    if not isinstance(cron, Cron):
        trigger.report.error(found.path, cron or "it is no schedule: write five fields, such as 0 9 * * 1")
        return Entry(kind="schedule", segment=segment, timezone=zone)
    if not segment:
        trigger.report.warn(trigger.path, "it does not say whom it is for, so nobody enters: add segment")
    return Entry(kind="schedule", segment=segment, cron=cron.text, timezone=zone)


def _read_date(trigger: Fields, zone: str) -> Entry:
    attribute = trigger.text("attribute", "date_attribute", "field", "date", "property")
    offset_ms = trigger.span(*_DATE_OFFSET, signed=True)
    clock = trigger.take(*_AT)
    zone = read_zone(trigger, "timezone", "tz", "time_zone", default=zone)
    yearly = trigger.flag("yearly", "every_year", "annual", "recurring", "repeat")
    minutes = None if clock is None else read_clock(str(clock.value))
    if clock is not None and minutes is None:
        trigger.report.error(clock.path, f"{show(clock.value)} is no time of day, such as 09:00")
    if not attribute:
        trigger.report.error(
            trigger.path, "it does not say which date: add attribute, such as user.trial_ends_at"
        )
    name = attribute.removeprefix("user.")
    if attribute and not _BARE.fullmatch(name):
        trigger.report.error(trigger.path, f"{show(attribute)} is no attribute of a user")
    date = Delay(clock=minutes, attribute=f"user.{name}", offset_ms=offset_ms, timezone=zone)
    return Entry(kind="date", date=date, yearly=yearly)


def _read_audience(top: Fields, entry: Entry) -> Entry:
    found = top.take(*AUDIENCE)
    if found is None or found.value in ([], {}, "all", "everyone"):
        return entry
    if isinstance(found.value, str) and not re.search(r"[^\w-]", found.value.strip()) and "-" in found.value:
        return msgspec.structs.replace(entry, audience_segment=found.value.strip())
    if is_object(found.value) and (inner := top.inner(found)) is not None:
        named = inner.peek("segment", "segment_id", "segments", "segment_name")
        if named is not None:
            return _read_segments(inner, named, entry)
    condition = read_condition(found, top, "user" if is_object(found.value) else "")
    return msgspec.structs.replace(entry, audience=condition)


def _read_segments(inner: Fields, named: Found, entry: Entry) -> Entry:
    """`{segment: …, condition: …}`."""
    inner.take(named.name)
    listed = [item.value for item in items(named)]
    rule = inner.take("condition", "conditions", "rules", "if", "filter")
    condition = None if rule is None else read_condition(rule, inner, "user")
    inner.close()
    if len(listed) != 1 or not isinstance(listed[0], str):
        inner.report.error(
            named.path, "an audience has one segment by name: make a segment of several, or write a condition"
        )
        return entry
    return msgspec.structs.replace(entry, audience=condition, audience_segment=listed[0])


def _read_reentry(places: list[Fields], entry: Entry) -> Entry:
    for fields in places:
        found, period = fields.take(*REENTRY), fields.take(*REENTRY_AFTER)
        after_ms = None
        if period is not None:
            after_ms = read_span(period.value)
            if after_ms is None:
                fields.report.error(
                    period.path, f"{show(period.value)} is no span of time of at most 400 days, such as 30d"
                )
        if found is not None:
            entry = _read_policy(found, fields, entry)
        if after_ms:
            entry = msgspec.structs.replace(entry, reentry="after", reentry_after_ms=after_ms)
        if entry.reentry == "after" and not entry.reentry_after_ms:
            fields.report.error(fields.path, "re-entry after a period needs one: write a span, such as 30d")
    return entry


def _read_policy(found: Found, fields: Fields, entry: Entry) -> Entry:
    value: Any = found.value
    if is_object(value):
        inner = fields.inner(found)
        if inner is None:
            return entry
        policy = inner.take("policy", "type", "mode", "allowed", "enabled")
        after_ms = inner.span("after", "period", "delay", "cooldown", "min_interval")
        inner.close()
        if policy is not None:
            entry = _read_policy(policy, fields, msgspec.structs.replace(entry, reentry_after_ms=after_ms))
        if after_ms and entry.reentry != "never":
            entry = msgspec.structs.replace(entry, reentry="after", reentry_after_ms=after_ms)
        return entry
    word = str(value).strip().lower() if isinstance(value, str | bool) else ""
    if word in _POLICIES:
        return msgspec.structs.replace(entry, reentry=_POLICIES[word])
    after_ms = read_span(value.removeprefix("after").strip() if isinstance(value, str) else value)
    if after_ms:
        return msgspec.structs.replace(entry, reentry="after", reentry_after_ms=after_ms)
    names = "never, always, one_at_a_time, or a period such as 30d"
    fields.report.error(found.path, f"there is no re-entry policy {show(value)}: there are {names}")
    return entry


def read_exits(top: Fields) -> tuple[ExitRule, ...]:
    """What ends a run wherever it stands."""
    found = top.take(*EXITS)
    rules: list[ExitRule] = []
    for item in [] if found is None else items(found):
        rules += _read_exit(item, top)
    return tuple(rules)


def _read_exit(item: Found, top: Fields) -> list[ExitRule]:
    if isinstance(item.value, str) and _BARE.fullmatch(item.value.strip()):
        # Is it an event, or a flag of the profile? A bare word is both: whichever comes ends the run.
        name = item.value.strip()
        match = read_event(item, top, None)
        condition = read_condition(item, top) if name.isidentifier() else None
        rules = [ExitRule(name, match)]
        return rules if condition is None else [*rules, ExitRule(name, condition=condition)]
    if not is_object(item.value):
        condition = read_condition(item, top)
        return [] if condition is None else [ExitRule(condition.text, condition=condition)]
    inner = top.inner(item)
    if inner is None:
        return []
    name = inner.text("name", "reason", "label", "id")
    kind = inner.text("type", "kind")
    event, condition = (
        inner.take(*EVENT),
        inner.take("condition", "conditions", "if", "when", "expression", "rule"),
    )
    match_condition = read_match(inner)
    if event is None and condition is None and kind and kind not in {"event", "condition"}:
        event = inner.take("type")
    inner.close()
    rules: list[ExitRule] = []
    if event is not None:
        matches = read_matches(event, inner, match_condition)
        rules += [ExitRule(name or match.event, match) for match in matches]
    if condition is not None and (judged := read_condition(condition, inner)) is not None:
        rules.append(ExitRule(name or judged.text, condition=judged))
    if event is None and condition is None:
        inner.report.error(
            item.path, "it says neither which event nor which condition ends a run: add event or condition"
        )
    return rules


def read_goals(places: list[Fields]) -> tuple[Goal, ...]:
    """What the journey is for."""
    goals: list[Goal] = []
    for fields in places:
        found = fields.take(*GOALS)
        for item in [] if found is None else items(found):
            goal = _read_goal(item, fields)
            goals += [] if goal is None else [goal]
    return tuple(goals)


def _read_goal(item: Found, fields: Fields) -> Goal | None:
    if not is_object(item.value):
        match = read_event(item, fields, None)
        return None if match is None else Goal(match.event, match)
    inner = fields.inner(item)
    if inner is None:
        return None
    name = inner.text("name", "id", "label", "metric", "goal")
    inner.skip("type", "target", "window", "attribution_window")
    event = inner.take(*EVENT)
    condition = read_match(inner)
    ends = inner.flag("ends", "exit", "ends_run", "exit_on_goal", "exits", "end")
    inner.close()
    found = event if event is not None or not name else Found(name, "name", item.path)
    if found is None:
        inner.report.error(item.path, "it does not say which event reaches the goal: add event")
        return None
    read = read_event(found, inner, condition)
    return None if read is None else Goal(name or read.event, read, ends)
