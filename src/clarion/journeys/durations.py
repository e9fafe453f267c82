"""Spans of time as people write them: `24h`, `2 days`, `1d12h`, `P1DT2H`, 3600 (seconds), `{"hours": 2}`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from clarion.kernel.local_time import DAY_MS, HOUR_MS, MINUTE_MS

SECOND_MS: Final = 1_000
WEEK_MS: Final = 7 * DAY_MS
MONTH_MS: Final = 30 * DAY_MS
YEAR_MS: Final = 365 * DAY_MS

MAX_SPAN_MS: Final = 400 * DAY_MS
"""The longest span of a definition: as long as a run may last."""

FORMS: Final = 'write "30m", "24h", "2 days", "1d12h", "P1DT2H", a number of seconds, or {"hours": 2}'

_UNITS: Final = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), SECOND_MS),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), MINUTE_MS),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), HOUR_MS),
    **dict.fromkeys(("d", "day", "days"), DAY_MS),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks"), WEEK_MS),
    **dict.fromkeys(("mo", "month", "months"), MONTH_MS),
    **dict.fromkeys(("y", "yr", "year", "years"), YEAR_MS),
}
_AT_ONCE: Final = frozenset({"now", "immediate", "immediately", "none", "0"})
_PART: Final = re.compile(r"\s*(?:and\s+|,\s*)?([0-9]{1,12}(?:\.[0-9]{1,6})?|an?(?=\s))\s*([a-z]+)")
_SIGN: Final = re.compile(r"\s*([+-]?)\s*")
_NUMBER: Final = r"([0-9]{1,9}(?:\.[0-9]{1,6})?)"
_ISO: Final = re.compile(
    rf"P(?:{_NUMBER}Y)?(?:{_NUMBER}M)?(?:{_NUMBER}W)?(?:{_NUMBER}D)?"
    rf"(?:T(?:{_NUMBER}H)?(?:{_NUMBER}M)?(?:{_NUMBER}S)?)?"
)
_ISO_UNITS: Final = (YEAR_MS, MONTH_MS, WEEK_MS, DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS)
_LONGEST_TEXT: Final = 100


def read_span(value: object, *, signed: bool = False) -> int | None:
    """The span in ms, or None where it is none. `signed`: it may go back (`-3d`, `3 days before`).

    A month is 30 days and a year 365. A span beyond `MAX_SPAN_MS` is none.
    """
    span: float | None
    match value:
        case bool():
            span = None
        case int() | float():
            span = value * SECOND_MS if abs(value) <= MAX_SPAN_MS else None
        case str():
            span = _read_text(value.strip().lower()) if len(value) <= _LONGEST_TEXT else None
        case dict():
            span = _read_map(cast("dict[Any, Any]", value))
        case _:
            span = None
    if span is None or not math.isfinite(span) or abs(span) > MAX_SPAN_MS or (span < 0 and not signed):
        return None
    return round(span)


def write_span(span_ms: int) -> str:
    """A span in words: `2 days`, `1 hour 30 minutes`."""
    if span_ms == 0:
        return "no time"
    parts: list[str] = []
    rest = abs(span_ms)
    for unit, size in (
        ("day", DAY_MS),
        ("hour", HOUR_MS),
        ("minute", MINUTE_MS),
        ("second", SECOND_MS),
        ("ms", 1),
    ):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 or unit == 'ms' else 's'}")
    return ("-" if span_ms < 0 else "") + " ".join(parts)


def is_unit(name: str) -> bool:
    """Whether this is the name of a unit of time."""
    return name.lower() in _UNITS


def _read_text(text: str) -> float | None:
    if text in _AT_ONCE:
        return 0
    sign = 1
    for ending, by in ((" before", -1), (" earlier", -1), (" after", 1), (" later", 1)):
        if text.endswith(ending):
            text, sign = text.removesuffix(ending), by
            break
    signs = _SIGN.match(text)
    if signs:
        text = text[signs.end() :]
        sign = -sign if signs[1] == "-" else sign
    span = _read_iso(text) if text.startswith("p") else _read_parts(text)
    return None if span is None else sign * span


def _read_iso(text: str) -> float | None:
    found = _ISO.fullmatch(text.upper())
    if found is None or not any(found.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(found.groups(), _ISO_UNITS, strict=True) if part)


def _read_parts(text: str) -> float | None:
    span, at = 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None or part[2] not in _UNITS:
            return None
        span += (1 if part[1].startswith("a") else float(part[1])) * _UNITS[part[2]]
        at = part.end()
    return span if at else None


def _read_map(values: Mapping[Any, Any]) -> float | None:
    """`{"days": 1, "hours": 2}` or `{"value": 2, "unit": "hours"}`."""
    counts: dict[str, Any] = {str(name).lower(): value for name, value in values.items()}
    unit = counts.pop("unit", None) or counts.pop("units", None)
    if unit is not None:
        amount = next(
            (counts.pop(name) for name in ("value", "amount", "count", "duration") if name in counts), None
        )
        counts = {**counts, str(unit).lower(): amount}
    if not counts or not all(name in _UNITS and _is_number(count) for name, count in counts.items()):
        return None
    return float(sum(count * _UNITS[name] for name, count in counts.items()))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_SPAN_MS
