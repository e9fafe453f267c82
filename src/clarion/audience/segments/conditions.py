"""What a store can be asked about its users: conditions that are true or false of each, never unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

Comparison: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
TextField: TypeAlias = Literal["id", "timezone", "language", "country", "region", "preferred_channel"]
Measure: TypeAlias = Literal["count", "first_at", "last_at"]


class Always(msgspec.Struct, frozen=True):
    """The same for everybody."""

    value: bool


class HasTerm(msgspec.Struct, frozen=True):
    """The user's blind index holds this term (`audience.traits`)."""

    term: bytes


class TextIs(msgspec.Struct, frozen=True):
    """A profile field that is set compares so with a text, by code points; false where it is not set."""

    field: TextField
    comparison: Comparison
    value: str


class TextBegins(msgspec.Struct, frozen=True):
    """A profile field that is set begins so; `value` "" asks only whether it is set."""

    field: TextField
    value: str


class Created(msgspec.Struct, frozen=True):
    """When the user was written first, compared with an instant (UTC ms)."""

    comparison: Comparison
    at_ms: int


class Reaches(msgspec.Struct, frozen=True):
    """There is an address for one of these channels (mask)."""

    channels: int


class FeatureSet(msgspec.Struct, frozen=True):
    """The intelligence has computed this feature of the user."""

    path: tuple[str, ...]


class FeatureIs(msgspec.Struct, frozen=True):
    """A feature that is set and of this type compares so (never by `!=`)."""

    path: tuple[str, ...]
    comparison: Comparison
    type: Literal["boolean", "number", "string"]
    value: bool | float | str


class EventCount(msgspec.Struct, frozen=True):
    """How often the user did something since an instant (UTC ms, 0: ever), 0 where never, compares so."""

    event: str
    comparison: Comparison
    value: float
    since_ms: int = 0


class EventTime(msgspec.Struct, frozen=True):
    """When the user first or last did something compares so with an instant (UTC ms); false where she never did."""

    event: str
    measure: Literal["first_at", "last_at"]
    comparison: Comparison
    at_ms: int


class AllOf(msgspec.Struct, frozen=True):
    """Every part holds."""

    parts: tuple[Condition, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """One part holds."""

    parts: tuple[Condition, ...]


class Not(msgspec.Struct, frozen=True):
    """The part does not hold."""

    part: Condition


Condition: TypeAlias = (
    Always
    | HasTerm
    | TextIs
    | TextBegins
    | Created
    | Reaches
    | FeatureSet
    | FeatureIs
    | EventCount
    | EventTime
    | AllOf
    | AnyOf
    | Not
)

NOBODY = Always(value=False)
EVERYBODY = Always(value=True)


def all_of(parts: Iterable[Condition]) -> Condition:
    """Every part holds, in the simplest form."""
    return _join(parts, AllOf, EVERYBODY, NOBODY)


def any_of(parts: Iterable[Condition]) -> Condition:
    """One part holds, in the simplest form."""
    return _join(parts, AnyOf, NOBODY, EVERYBODY)


def negate(part: Condition) -> Condition:
    """The part does not hold, in the simplest form."""
    match part:
        case Always(value=value):
            return NOBODY if value else EVERYBODY
        case Not(part=inner):
            return inner
        case _:
            return Not(part)


def _join(parts: Iterable[Condition], kind: type[AllOf | AnyOf], neutral: Always, final: Always) -> Condition:
    kept: dict[Condition, None] = {}
    for part in parts:
        if part == final:
            return final
        inner = part.parts if isinstance(part, kind) else (part,)
        kept.update(dict.fromkeys(one for one in inner if one != neutral))
    if not kept:
        return neutral
    return next(iter(kept)) if len(kept) == 1 else kind(tuple(kept))


class Bounds(msgspec.Struct, frozen=True):
    """Between two conditions: who meets `lower` is in, who does not meet `upper` is out, and the rest has to be judged.

    Where both are the same, the store alone can tell.
    """

    lower: Condition
    upper: Condition

    @property
    def is_exact(self) -> bool:
        """Whether nobody has to be judged."""
        return self.lower == self.upper

    @property
    def doubtful(self) -> Condition:
        """Who has to be judged."""
        return NOBODY if self.is_exact else all_of((self.upper, negate(self.lower)))


def exactly(condition: Condition) -> Bounds:
    """What the store alone can tell."""
    return Bounds(condition, condition)
