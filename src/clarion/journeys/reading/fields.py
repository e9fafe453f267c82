"""An object of a definition, field by field: each read by one of its names, and those that nobody read are unknown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeGuard, TypeVar

import msgspec

from clarion.contracts.commands import FALLBACK_WAIT_S
from clarion.journeys.durations import FORMS, read_span
from clarion.journeys.findings import Report, show

MAX_BODY_BYTES: Final = 65_536
MAX_ENTRIES: Final = 100
"""Of maps and lists that are small by nature."""

MAX_TEXT: Final = 2_000
"""Characters of a text field that is no condition."""

DEFAULT_STEP_MS: Final = 300_000
"""Between two channels of a fallback, where nothing is said: as in the API's own (`contracts.commands`)."""

LONGEST_STEP_MS: Final = FALLBACK_WAIT_S * 1000

T = TypeVar("T")

_IGNORED: Final = (
    "description",
    "comment",
    "comments",
    "notes",
    "tags",
    "metadata",
    "meta",
    "position",
    "ui",
)
"""For people and for editors that draw: allowed on each object, read by nobody."""

_FALSE: Final = frozenset({"false", "no", "off", "never"})
_TRUE: Final = frozenset({"true", "yes", "on", "always"})


class Found(msgspec.Struct, frozen=True):
    """A field's value, by which name it was given and where."""

    value: Any
    name: str
    path: str


class Fields:
    """One object. `take` and its kin read a field by the first of its names that is there, and remember all names."""

    def __init__(self, values: Mapping[str, Any], path: str, report: Report, step: str = "") -> None:
        self._values = {name: Found(value, name, join(path, name)) for name, value in values.items()}
        self._unread = dict.fromkeys(self._values)
        self._known: dict[str, None] = {}
        self._usual: dict[str, None] = {}
        self.path = path
        self.report = report.at(step)
        self.step = step

    def unfold(self, *names: str, renamed: Mapping[str, str] | None = None) -> None:
        """Take the fields of an inner object (`config: {…}`) as if they stood here, some by another name."""
        for name in names:
            inner = self._values.get(name)
            if inner is None or not is_object(inner.value):
                continue
            self.skip(name)
            del self._values[name]
            for given, value in inner.value.items():
                key = (renamed or {}).get(given, given)
                if key in self._values:
                    self.report.error(
                        join(inner.path, given), f"{show(key)} is given twice: leave one of them out"
                    )
                    continue
                self._values[key] = Found(value, key, join(inner.path, given))
                self._unread[key] = None

    def take(self, *names: str) -> Found | None:
        """The field by the first of `names` that is there; a second one that says otherwise is an error."""
        found: Found | None = None
        self._usual[names[0]] = None
        for name in names:
            self._known[name] = None
            self._unread.pop(name, None)
            other = self._values.get(name)
            if other is None or other.value is None:
                continue
            if found is None:
                found = other
            elif other.value != found.value:
                self.report.error(
                    other.path, f"this is given twice, as {show(found.name)} and as {show(name)}: keep one"
                )
        return found

    def has(self, *names: str) -> bool:
        """Whether one of these is given; none counts as read."""
        return any(name in self._values and self._values[name].value is not None for name in names)

    def names(self) -> tuple[str, ...]:
        """Names of all fields that are given."""
        return tuple(self._values)

    def peek(self, *names: str) -> Found | None:
        """The first of these that is given; it does not count as read."""
        return next((self._values[name] for name in names if self.has(name)), None)

    def skip(self, *names: str) -> None:
        """Let these be, whatever they hold."""
        for name in names:
            self._known[name] = None
            self._unread.pop(name, None)

    def text(self, *names: str, default: str = "") -> str:
        """A text; numbers are taken as such."""
        found = self.take(*names)
        if found is None:
            return default
        value = found.value
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            return _wrong(self, found, "a text", default)
        if len(value) > MAX_TEXT:
            self.report.error(found.path, f"this text is longer than {MAX_TEXT} characters: shorten it")
            return default
        return value.strip()

    def number(self, *names: str, default: float, low: float, high: float) -> float:
        """A number of `low` to `high`."""
        found = self.take(*names)
        if found is None:
            return default
        value = found.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            return _wrong(self, found, f"a number from {low:g} to {high:g}", default)
        return float(value) if math.isfinite(value) else default

    def integer(self, *names: str, default: int, low: int, high: int) -> int:
        """A whole number of `low` to `high`."""
        found = self.take(*names)
        if found is None:
            return default
        value = found.value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            return _wrong(self, found, f"a whole number from {low} to {high}", default)
        return value

    def flag(self, *names: str, default: bool = False) -> bool:
        """Yes or no."""
        found = self.take(*names)
        if found is None:
            return default
        word = str(found.value).lower() if isinstance(found.value, bool | str) else ""
        if word in _TRUE | _FALSE:
            return word in _TRUE
        return _wrong(self, found, "true or false", default)

    def span(self, *names: str, default: int = 0, signed: bool = False) -> int:
        """A span of time, in ms."""
        found = self.take(*names)
        if found is None:
            return default
        span = read_span(found.value, signed=signed)
        if span is None:
            self.report.error(
                found.path, f"{show(found.value)} is no span of time of at most 400 days: {FORMS}"
            )
            return default
        return span

    def mapping(self, *names: str) -> dict[str, Any]:
        """An object of any values."""
        found = self.take(*names)
        if found is None:
            return {}
        if not is_object(found.value):
            return _wrong(self, found, "an object", {})
        return found.value

    def close(self) -> None:
        """Say what nobody read."""
        self.skip(*_IGNORED)
        for name in self._unread:
            close = get_close_matches(name.lower()[:MAX_TEXT], self._known, 1, 0.6)
            hint = f"did you mean {show(close[0])}?" if close else f"there are {', '.join(self._usual)}"
            self.report.error(self._values[name].path, f"there is no field {show(name)} here: {hint}")

    def inner(self, found: Found) -> Fields | None:
        """The object that a field holds; None, with an error, where it is none."""
        if not is_object(found.value):
            self.report.error(found.path, f"{show(found.value)} stands here, where an object is expected")
            return None
        return Fields(found.value, found.path, self.report, self.step)


def _wrong(fields: Fields, found: Found, expected: str, default: T) -> T:
    fields.report.error(found.path, f"{show(found.value)} stands here, where {expected} is expected")
    return default


def check_size(values: dict[str, Any] | None, fields: Fields, name: str) -> None:
    """Say where a free object is larger than can be carried."""
    if values and len(msgspec.json.encode(values)) > MAX_BODY_BYTES:
        fields.report.error(fields.path, f"its {name} is larger than 64 KB: make it smaller")


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def items(found: Found) -> list[Found]:
    """The items of a list; one that is no list is the only one."""
    if not is_list(found.value):
        return [found]
    listed = found.value
    return [Found(value, found.name, f"{found.path}[{i}]") for i, value in enumerate(listed)]


def join(path: str, name: str) -> str:
    """The path of a field; a name that is no plain word is quoted."""
    shown = name if name.isidentifier() else f"[{show(name)}]"
    return shown if not path else f"{path}.{name}" if name.isidentifier() else f"{path}{shown}"
