"""Traits: what a user's attributes say, as terms that can be found without opening them.

    {"plan": "pro", "tags": ["a"]}  →  has plan · plan is "pro" · has tags · tags holds "a"

Stored is a keyed hash of each (the blind index). Whoever lacks the key learns only which users of a tenant share a
value, not which one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec

from clarion.audience.ports import Sealer

TRAIT_BYTES: Final = 8
"""64 bits: among 20 million terms of a tenant, one that is asked for meets another's with a chance of 10^-12."""

MAX_TEXT: Final = 1024
MAX_LIST: Final = 100
MAX_LEVELS: Final = 4
"""What is longer or deeper is not seen by segments: one user's data must not make everybody's segment dear."""

_MAX_INT: Final = 2**63
_PLAIN: Final = frozenset({str, bool, int, float})

Kind: TypeAlias = Literal["has", "is", "holds"]
Scalar: TypeAlias = bool | int | float | str
Path: TypeAlias = tuple[str, ...]

_encode = msgspec.msgpack.Encoder().encode


class Trait(msgspec.Struct, frozen=True):
    """One term: the attribute at `path` is set (`has`), is `value`, or is a list that holds `value`."""

    kind: Kind
    path: Path
    value: Scalar | None = None


def see(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a user's attributes that segments see: nothing null, too long, too deep or beyond 64 bits."""
    return _see_map(attributes, MAX_LEVELS)


def list_traits(attributes: Mapping[str, Any]) -> Iterator[Trait]:
    """Every trait of a user's attributes."""
    yield from _list(see(attributes), ())


class TraitBlinder:
    """Traits as terms of the blind index, for one batch: values that users share are hashed once."""

    def __init__(self, tenant_id: bytes, sealer: Sealer) -> None:
        self.tenant_id = tenant_id
        self._sealer = sealer
        self._known: dict[bytes, bytes] = {}
        self._by_attribute: dict[tuple[str, type, Scalar], tuple[bytes, ...]] = {}

    def term(self, trait: Trait) -> bytes:
        """The 8 bytes that stand for a trait of this tenant."""
        # 1.0 and 1 are one number, as they are in a condition; true is none.
        value = trait.value
        if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_INT:
            value = int(value)
        clear = b"trait:" + _encode((trait.kind, trait.path, value))
        term = self._known.get(clear)
        if term is None:
            term = self._known[clear] = self._sealer.blind(self.tenant_id, clear)[:TRAIT_BYTES]
        return term

    def terms(self, attributes: Mapping[str, Any]) -> list[bytes]:
        """The terms of a user's attributes, each once. A plain value, which many users share, is looked at once."""
        terms: list[bytes] = []
        known = self._by_attribute
        for name, value in attributes.items():
            kind: type = value.__class__
            if kind in _PLAIN:
                # The type is part of what is looked up: true equals 1 here, and is another value.
                terms += known.get((name, kind, value)) or self._learn(name, value)
            else:
                terms += {self.term(trait) for trait in list_traits({name: value})}
        return terms

    def _learn(self, name: str, value: Scalar) -> tuple[bytes, ...]:
        terms = tuple(self.term(trait) for trait in list_traits({name: value}))
        self._by_attribute[name, type(value), value] = terms
        return terms


def term_number(term: bytes) -> int:
    """A term as the store has it: a signed 64-bit number."""
    return int.from_bytes(term, "big", signed=True)


def _see_map(values: Mapping[str, Any], levels: int) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for name, value in values.items():
        kept = _see_value(value, levels - 1)
        if kept is not None and len(name) <= MAX_TEXT:
            seen[name] = kept
    return seen


def _see_value(value: object, levels: int) -> Any:  # noqa: ANN401  any JSON
    """What is seen of a value; None for nothing. A list is seen whole or not at all."""
    match value:
        case str():
            return value if len(value) <= MAX_TEXT else None
        case bool() | float():
            return value
        case int():
            return value if -_MAX_INT <= value < _MAX_INT else None
        case dict() if levels and len(cast("dict[str, Any]", value)) <= MAX_LIST:
            return _see_map(cast("dict[str, Any]", value), levels)
        case list() if levels and len(cast("list[Any]", value)) <= MAX_LIST:
            items = [_see_value(item, levels - 1) for item in cast("list[Any]", value)]
            return None if any(item is None for item in items) else items
        case _:
            return None


def _list(seen: dict[str, Any], above: Path) -> Iterator[Trait]:
    for name, value in seen.items():
        path = (*above, name)
        yield Trait("has", path)
        if isinstance(value, dict):
            yield from _list(cast("dict[str, Any]", value), path)
        elif isinstance(value, list):
            for item in cast("list[Any]", value):
                if isinstance(item, bool | int | float | str):
                    yield Trait("holds", path, item)
        else:
            yield Trait("is", path, value)
