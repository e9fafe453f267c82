"""What a store can be asked about one name of an expression: bounds on who meets it, exact wherever possible."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from clarion.audience.cel import refuse
from clarion.audience.segments.conditions import (
    EVERYBODY,
    NOBODY,
    Bounds,
    Comparison,
    Condition,
    Created,
    EventCount,
    EventTime,
    FeatureIs,
    FeatureSet,
    HasTerm,
    Reaches,
    TextBegins,
    TextIs,
    all_of,
    any_of,
    exactly,
    negate,
)
from clarion.audience.segments.vocabulary import (
    ADDRESSES,
    CHANNELS_FIELD,
    CREATED_FIELD,
    TEXT_FIELDS,
    TIMES,
    Ref,
    window_ms,
)
from clarion.audience.traits import Kind, Path, Scalar, Trait
from clarion.contracts.channels import CHANNELS, mask_of

Value: TypeAlias = "bool | int | float | str | datetime | timedelta | list[Any]"
"""What a constant part of an expression may come to."""

_EVERY_CHANNEL: Final = mask_of(CHANNELS)
_KINDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "a yes or no"),  # before the numbers: in Python it is one
    (int, "a number"),
    (float, "a number"),
    (str, "text"),
    (datetime, "an instant"),
    (timedelta, "a span of time"),
    (list, "a list"),
)
_OPEN: Final = Bounds(NOBODY, EVERYBODY)


def kind_of(value: object) -> str:
    """The type of a value, for people."""
    return next((name for kind, name in _KINDS if isinstance(value, kind)), "something else")


class Atoms:
    """Bounds of the atoms of one expression, as of an instant. `term` blinds a trait. Mistakes raise Invalid."""

    def __init__(self, text: str, term: Callable[[Trait], bytes], as_of_ms: int) -> None:
        self._text = text
        self._term = term
        self._as_of_ms = as_of_ms

    def truth(self, ref: Ref, at: int) -> Bounds:
        """The name by itself: it is set and true."""
        match ref.root:
            case "context":
                return _OPEN
            case "user" | "bare" | "features" if ref.is_attribute or ref.root != "user":
                return self.compare(ref, "==", True, at)  # noqa: FBT003  a value like others
            case _:
                detail = f"{ref} is no yes or no: compare it with something, or ask has({ref})"
                raise refuse(self._text, at, detail)

    def has(self, ref: Ref) -> Bounds:
        """`has(name)`: it is set."""
        if ref.root == "context":
            return _OPEN
        return exactly(self.is_set(ref))

    def is_set(self, ref: Ref) -> Condition:
        """Everybody for whom the name is set, and where the store cannot know it, more."""
        match ref.root:
            case "user" if ref.is_attribute:
                return self._trait("has", ref.path)
            case "user":
                return _field_is_set(ref.path[0])
            case "bare":
                return any_of(
                    (self._trait("has", ref.path), self._unless_attribute(ref, FeatureSet(ref.path)))
                )
            case "features":
                return FeatureSet(ref.path)
            case "events" if len(ref.path) == 1 or ref.path[1] in TIMES:
                return EventCount(ref.path[0], ">", 0)
            case _:
                return EVERYBODY

    def compare(self, ref: Ref, comparison: Comparison, value: Value, at: int) -> Bounds:
        """The name compared with a constant."""
        match ref.root:
            case "user" if ref.is_attribute:
                return self._compare_attribute(ref, comparison, value, at)
            case "user":
                return self._compare_field(ref, comparison, value, at)
            case "bare":
                attribute = self._compare_attribute(ref, comparison, value, at)
                return self._merge(ref, attribute, self._compare_feature(ref, comparison, value, at))
            case "features":
                return self._compare_feature(ref, comparison, value, at)
            case "events":
                return self._compare_event(ref, comparison, value, at)
            case _:
                return _OPEN

    def holds(self, ref: Ref, value: Value, at: int) -> Bounds:
        """`value in name`: the name is a list with the value, or a map with the key."""
        if ref == Ref("user", (CHANNELS_FIELD,)):
            if value not in CHANNELS:
                raise refuse(self._text, at, f"there is no channel {value!r}: {', '.join(CHANNELS)}")
            return exactly(Reaches(mask_of([channel for channel in CHANNELS if channel == value])))
        if ref.root in {"context", "features"}:
            return Bounds(NOBODY, self.is_set(ref))
        if ref.root == "events" or not (ref.root == "bare" or ref.is_attribute):
            raise refuse(self._text, at, f"{ref} is no list")
        if not isinstance(value, bool | int | float | str):
            raise refuse(self._text, at, f"{kind_of(value)} cannot be looked for in {ref}")
        terms = [self._trait("holds", ref.path, value)]
        if isinstance(value, str):
            terms.append(self._trait("has", (*ref.path, value)))
        found = exactly(any_of(terms))
        return found if ref.root == "user" else self._merge(ref, found, Bounds(NOBODY, FeatureSet(ref.path)))

    def _trait(self, kind: Kind, path: Path, value: Scalar | None = None) -> Condition:
        return HasTerm(self._term(Trait(kind, path, value)))

    def _unless_attribute(self, ref: Ref, feature: Condition) -> Condition:
        """A bare name means the feature only where the user has no attribute of this name."""
        return all_of((negate(self._trait("has", ref.path[:1])), feature))

    def _merge(self, ref: Ref, attribute: Bounds, feature: Bounds) -> Bounds:
        lower = any_of((attribute.lower, self._unless_attribute(ref, feature.lower)))
        return Bounds(lower, any_of((attribute.upper, self._unless_attribute(ref, feature.upper))))

    def _compare_attribute(self, ref: Ref, comparison: Comparison, value: Value, at: int) -> Bounds:
        if isinstance(value, datetime | timedelta):
            raise self._no_instant(ref, at)
        is_set = self._trait("has", ref.path)
        if comparison not in {"==", "!="} or not isinstance(value, bool | int | float | str):
            return Bounds(NOBODY, is_set)
        same = self._trait("is", ref.path, value)
        return exactly(same if comparison == "==" else all_of((is_set, negate(same))))

    def _compare_feature(self, ref: Ref, comparison: Comparison, value: Value, at: int) -> Bounds:
        if isinstance(value, datetime | timedelta):
            raise self._no_instant(ref, at)
        is_ordered_bool = isinstance(value, bool) and comparison not in {"==", "!="}
        if is_ordered_bool or not isinstance(value, bool | int | float | str):
            return Bounds(NOBODY, FeatureSet(ref.path))
        if comparison == "!=":
            same = _feature_is(ref.path, "==", value)
            return exactly(all_of((FeatureSet(ref.path), negate(same))))
        return exactly(_feature_is(ref.path, comparison, value))

    def _compare_field(self, ref: Ref, comparison: Comparison, value: Value, at: int) -> Bounds:
        name = ref.path[0]
        if name == CHANNELS_FIELD:
            raise refuse(self._text, at, 'user.channels is a list: write "email" in user.channels')
        if name == CREATED_FIELD:
            if not isinstance(value, datetime):
                raise self._mismatch(ref, "an instant", value, at)
            return exactly(Created(comparison, _ms(value)))
        if not isinstance(value, str):
            raise self._mismatch(ref, "text", value, at)
        if name in ADDRESSES:
            return Bounds(NOBODY, _field_is_set(name))
        return exactly(TextIs(TEXT_FIELDS[name], comparison, value))

    def _compare_event(self, ref: Ref, comparison: Comparison, value: Value, at: int) -> Bounds:
        event, measure = ref.path
        back_ms = window_ms(measure)
        if back_ms is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise self._mismatch(ref, "a number", value, at)
            since_ms = self._as_of_ms - back_ms if back_ms else 0
            return exactly(EventCount(event, comparison, float(value), since_ms))
        if not isinstance(value, datetime):
            raise self._mismatch(ref, "an instant", value, at)
        is_first = measure == "first_at"
        return exactly(EventTime(event, "first_at" if is_first else "last_at", comparison, _ms(value)))

    def _no_instant(self, ref: Ref, at: int) -> Exception:
        detail = f"{ref} is no instant: write timestamp({ref}) where it is text such as 2026-12-01T08:00:00Z"
        return refuse(self._text, at, detail)

    def _mismatch(self, ref: Ref, wanted: str, value: Value, at: int) -> Exception:
        hints = {
            "an instant": ', such as ago("7d") or timestamp("2026-12-01T08:00:00Z")',
            "text": ' such as "DE"',
        }
        detail = (
            f"{ref} is {wanted}, and is compared with {kind_of(value)}: write {wanted}{hints.get(wanted, '')}"
        )
        return refuse(self._text, at, detail)


def begins(ref: Ref, begin: str) -> Bounds | None:
    """The name begins with a text; None where the store cannot tell."""
    if ref.root == "user" and ref.path[0] in TEXT_FIELDS:
        return exactly(TextBegins(TEXT_FIELDS[ref.path[0]], begin))
    return None


def _feature_is(path: Path, comparison: Comparison, value: Scalar) -> FeatureIs:
    match value:
        case bool():
            return FeatureIs(path, comparison, "boolean", value)
        case str():
            return FeatureIs(path, comparison, "string", value)
        case _:
            return FeatureIs(path, comparison, "number", float(value))


def _field_is_set(name: str) -> Condition:
    if name in ADDRESSES:
        return Reaches(mask_of([channel for channel in CHANNELS if channel == ADDRESSES[name]]))
    if name in TEXT_FIELDS:
        return TextBegins(TEXT_FIELDS[name], "")
    return Reaches(_EVERY_CHANNEL) if name == CHANNELS_FIELD else EVERYBODY


def _ms(value: datetime) -> int:
    return int(value.timestamp() * 1000)
