"""Delays: a span, a clock time, a day of the week, or a date of the user's with an offset."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from clarion.journeys.durations import FORMS, is_unit, read_span
from clarion.journeys.findings import show
from clarion.journeys.graph import Delay
from clarion.journeys.reading.fields import Fields, Found, is_object, items
from clarion.kernel.local_time import find_zone

_SPAN: Final = ("delay", "duration", "wait", "for", "time", "period", "span", "after", "wait_for", "seconds")
_UNTIL: Final = ("until", "at", "time_of_day", "clock")
_DAYS: Final = ("weekday", "weekdays", "day", "day_of_week", "days_of_week", "on")
_ZONE: Final = ("timezone", "tz", "time_zone", "zone")
_ATTRIBUTE: Final = ("attribute", "date_attribute", "date", "field")
_OFFSET: Final = ("offset", "shift")

DELAY_FIELDS: Final = (*_SPAN, *_UNTIL, *_DAYS, *_ZONE, *_ATTRIBUTE, *_OFFSET)

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_GROUPS: Final = {"weekday": (0, 1, 2, 3, 4), "workday": (0, 1, 2, 3, 4), "weekend": (5, 6), "day": ()}
_CLOCK: Final = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::00)?\s*([ap]m)?")
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,7}")
_USERS_OWN: Final = frozenset({"", "user", "local", "recipient", "user_timezone", "user_local"})
_NOON: Final = 12
_HOURS: Final = 24
_MINUTES: Final = 60
_LETTERS: Final = 3
"""Of a day's name: `mon`."""


def read_delay(found: Found, fields: Fields, zone: str) -> Delay | None:
    """The delay that a field holds, None with an error where it is none. `zone`: for clock times, "" the user's."""
    if is_object(found.value) and not _is_plain(found.value):
        inner = fields.inner(found)
        delay = None if inner is None else read_delay_fields(inner, zone)
        if inner is not None:
            inner.close()
        return delay
    span = read_span(found.value)
    if span is not None:
        return Delay(after_ms=span)
    named = _read_until(found.value, zone) if isinstance(found.value, str) else None
    if named is not None and (not named.attribute or "." in named.attribute):
        return named
    fields.report.error(
        found.path, f"{show(found.value)} is no delay of at most 400 days: {FORMS}, or an until such as 09:00"
    )
    return None


def read_delay_fields(fields: Fields, zone: str) -> Delay | None:
    """The delay whose parts stand among `fields`. None, with an error, where there is none or it is wrong."""
    own_zone = read_zone(fields, *_ZONE, default=zone)
    offset_ms = fields.span(*_OFFSET, signed=True)
    attribute = fields.text(*_ATTRIBUTE)
    named = _read_named(fields, own_zone)
    says_how_long = fields.has(*_SPAN, "value", "amount", *_units(fields))
    after_ms = _read_after(fields)
    if named is None or after_ms is None:
        return None
    attribute = attribute or named.attribute
    if attribute:
        if _DOTTED.fullmatch(attribute):
            return Delay(clock=named.clock, attribute=attribute, offset_ms=offset_ms, timezone=own_zone)
        fields.report.error(
            fields.path, f"{show(attribute)} is no name of a date, such as user.trial_ends_at"
        )
        return None
    is_local = named.clock is not None or bool(named.weekdays)
    if offset_ms:
        fields.report.error(
            fields.path, "an offset belongs to the date of an attribute: add attribute, or leave it out"
        )
    elif not is_local and not says_how_long:
        fields.report.error(fields.path, f"it does not say how long: {FORMS}, or until with a time or a date")
    else:
        return Delay(after_ms, named.clock, named.weekdays, timezone=own_zone if is_local else "")
    return None


def _read_named(fields: Fields, zone: str) -> Delay | None:
    """What `until` and `weekday` say, a Delay of nothing without them; None, with an error, where it is wrong."""
    until, days = fields.take(*_UNTIL), fields.take(*_DAYS)
    named = Delay()
    if until is not None:
        read = _read_until(until.value, zone) if isinstance(until.value, str) else None
        if read is None:
            fields.report.error(
                until.path, f"{show(until.value)} is no clock time, day of the week or name of a date"
            )
            return None
        named = read
    if days is None:
        return named
    weekdays = read_weekdays(days, fields)
    return None if weekdays is None else msgspec.structs.replace(named, weekdays=weekdays)


def read_weekdays(found: Found, fields: Fields) -> tuple[int, ...] | None:
    """Days of the week by name or number (ISO: Monday is 1, Sunday 7 or 0); None, with an error, where one is none."""
    days: set[int] = set()
    for item in items(found):
        read = _read_weekday(item.value)
        if read is None:
            fields.report.error(item.path, f"{show(item.value)} is no day of the week, such as monday")
            return None
        days.update(read)
    return tuple(sorted(days))


def read_zone(fields: Fields, *names: str, default: str) -> str:
    """A time zone's IANA name, "" for the user's own."""
    found = fields.take(*names)
    if found is None:
        return default
    if isinstance(found.value, str):
        name = found.value.strip()
        if name.lower() in _USERS_OWN:
            return ""
        if find_zone(name) is not None:
            return name
    fields.report.error(
        found.path, f"{show(found.value)} is no time zone: write user, or a name such as Europe/Paris"
    )
    return default


def read_clock(text: str) -> int | None:
    """Minutes after midnight of `09:00`, `9am` or `5:30 pm`; None for anything else."""
    found = _CLOCK.fullmatch(text.strip().lower())
    if found is None or (found[2] is None and found[3] is None):
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] is not None:
        if not 1 <= hour <= _NOON:
            return None
        hour = hour % _NOON + (_NOON if found[3] == "pm" else 0)
    return hour * _MINUTES + minute if hour < _HOURS and minute < _MINUTES else None


def is_delay_text(value: object) -> bool:
    """Whether a value is a delay and no name of an event."""
    return read_span(value) is not None or (isinstance(value, str) and read_clock(value) is not None)


def _read_after(fields: Fields) -> int | None:
    """The span among the fields, 0 without one; None, with an error, where it is none."""
    units = _units(fields)
    if units:
        parts = {name: found.value for name in units if (found := fields.take(name)) is not None}
        span = read_span(parts)
        if span is None:
            fields.report.error(fields.path, f"these are no span of time of at most 400 days: {FORMS}")
        return span
    amount = fields.take("value", "amount")
    if amount is not None:
        unit = fields.take("unit", "units")
        span = read_span({"value": amount.value, "unit": "seconds" if unit is None else unit.value})
        if span is None:
            fields.report.error(amount.path, f"this is no span of time of at most 400 days: {FORMS}")
        return span
    found = fields.take(*_SPAN)
    if found is None:
        return 0
    if isinstance(found.value, int | float) and (unit := fields.take("unit", "units")) is not None:
        span = read_span({"value": found.value, "unit": unit.value})
    else:
        span = read_span(found.value)
    if span is None:
        fields.report.error(
            found.path, f"{show(found.value)} is no span of time of at most 400 days: {FORMS}"
        )
    return span


def _units(fields: Fields) -> list[str]:
    """Fields that are units of time: `hours: 2`. Those that also name days of the week do not count."""
    return [name for name in fields.names() if is_unit(name) and name.endswith("s") and name != "s"]


def _is_plain(values: dict[str, object]) -> bool:
    return read_span(values) is not None


def _read_until(text: str, zone: str) -> Delay | None:
    """`09:00`, `monday`, `monday 09:00`, `next monday at 9am`, or the name of a date."""
    words = [word for word in text.strip().split() if word.lower() not in {"next", "at", "on", "until"}]
    days: set[int] = set()
    for i, word in enumerate(words):
        if (read := _read_weekday(word)) is not None and not word.isdigit():
            days.update(read)
        elif (minutes := read_clock("".join(words[i:]))) is not None:
            return Delay(clock=minutes, weekdays=tuple(sorted(days)), timezone=zone)
        else:
            named = len(words) == 1 and _DOTTED.fullmatch(word)
            return Delay(attribute=word, timezone=zone) if named else None
    return Delay(weekdays=tuple(sorted(days)), timezone=zone) if days else None


def _read_weekday(value: object) -> tuple[int, ...] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return ((value - 1) % 7,) if 0 <= value <= len(_WEEKDAYS) else None
    if not isinstance(value, str):
        return None
    word = value.strip().lower()
    if word.removesuffix("s") in _GROUPS:
        return _GROUPS[word.removesuffix("s")]
    short = [
        day for day, name in enumerate(_WEEKDAYS) if len(word) >= _LETTERS and f"{name}s".startswith(word)
    ]
    return (short[0],) if short else None
