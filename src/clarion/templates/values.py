"""Variables as the engine may see them: JSON values, cleaned, without nulls.

The engine looks a name up in a Python dict and, where the key is missing, among the dict's attributes: on a plain dict
`{{ order.copy }}` prints a method instead of failing. `FrozenMap` has no such names, but the engine takes three times
as long to read it. So variables go to the engine as they are where nothing can come of it (see `unguarded`), and
guarded, in FrozenMap and FrozenList, where something could.

Nulls are left out of maps: a null is a missing variable, strictly refused or replaced by `default(…)`, instead of the
word None in a message.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import msgspec

JsonValue: TypeAlias = Any

MAX_PLAIN_BYTES: Final = 8_000
"""Most JSON that goes to the engine as it is."""

_ENCODER: Final = msgspec.json.Encoder()
_ORDER: Final = msgspec.json.Encoder(order="deterministic")
_WIDE_CONTROLS: Final = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
"""U+0080 to U+009F, U+2028 and U+2029 in UTF-8."""
_LINE_BREAKS: Final = ("\r\n", "\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
_UNSENDABLE: Final = dict.fromkeys(
    set(range(0x20)) - {0x09, 0x0A} | set(range(0x7F, 0xA0)) | set(range(0xD800, 0xE000))
)
_SCALARS: Final = frozenset({int, float, bool})


SHOWN: Final = "\ufdd0"
"""What a list or map prints: a character that is none (Unicode reserves it for uses like this one)."""


class BadValueError(TypeError):
    """A variable holds something that JSON has no word for. Its type is named, its value is not."""


class Extent:
    """How large some variables are: characters of the longest text, elements of the largest list or map."""

    __slots__ = ("characters", "elements")

    def __init__(self) -> None:
        self.characters = 0
        self.elements = 0


class _Hidden:
    """Stands where a container has a method, and is not there when asked for."""

    def __get__(self, instance: object, owner: type | None = None) -> object:
        raise AttributeError


class FrozenMap(dict[str, Any]):
    """A map without methods. Read it by subscript, by iteration, or with `dict.items(frozen)`.

    Without `items` the engine takes it for an iterable: `items` and `dictsort` are our own filters, `mapping` our test.
    Printed, it leaves SHOWN.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return SHOWN

    # The engine asks for an order to find out about equality, and without one compares only the keys.
    def __lt__(self, other: object) -> bool:
        return _ORDER.encode(self) < _ORDER.encode(other)

    def __gt__(self, other: object) -> bool:
        return _ORDER.encode(self) > _ORDER.encode(other)


class FrozenList(list[Any]):
    """A list without methods, which costs the engine nothing. Printed, it leaves SHOWN."""

    __slots__ = ()

    def __repr__(self) -> str:
        return SHOWN


def _public_names(container: type) -> frozenset[str]:
    return frozenset(name for name in dir(container) if not name.startswith("_"))


MAP_METHODS: Final = _public_names(dict)
"""Names that a plain dict answers to, also the one that holds the variables: there they need a look beforehand."""

CONTAINER_METHODS: Final = MAP_METHODS | _public_names(list)

for _kind, _names in ((FrozenMap, MAP_METHODS), (FrozenList, _public_names(list))):
    for _name in _names:
        setattr(_kind, _name, _Hidden())


def clean(text: str) -> str:
    """`text` with line feeds for all line breaks, without lone surrogates and, but for the tab, control characters."""
    for ending in _LINE_BREAKS:
        if ending in text:
            text = text.replace(ending, "\n")
    return text.translate(_UNSENDABLE)


class PlainTest:
    """Says which variables the engine may have as they are. Keeps a buffer: for one thread at a time."""

    def __init__(self) -> None:
        self._written = bytearray()

    def passes(self, values: dict[str, JsonValue]) -> bool:
        """Whether `values` are small, with nothing to clean or leave out.

        Looks at their JSON, which is faster than looking at each. May say no where yes would be right.
        """
        written = self._written
        try:
            _ENCODER.encode_into(values, written)
        except (TypeError, ValueError, OverflowError, RecursionError):
            return False
        return (
            len(written) <= MAX_PLAIN_BYTES
            # An escaped character: a control character, if it is no quote.
            and b"\\" not in written
            and b"\x7f" not in written
            # Searched from the end because that takes a third of the time: CPython 3.11 skips ahead only there.
            and written.rfind(b"null") < 0
            and ((b"\xc2" not in written and b"\xe2" not in written) or not _WIDE_CONTROLS.search(written))
        )


def freeze(value: JsonValue, extent: Extent) -> JsonValue:
    """A guarded, clean copy of `value`, its size noted in `extent`. Raises BadValueError for what is no JSON."""
    kind = value.__class__
    if kind is str:
        text = value if value.isprintable() else clean(value)
        extent.characters = max(extent.characters, len(text))
        return text
    if kind is dict or kind is list:
        extent.elements = max(extent.elements, len(value))
    if kind is dict:
        return FrozenMap((key, freeze(item, extent)) for key, item in value.items() if item is not None)
    if kind is list:
        return FrozenList([freeze(item, extent) for item in value])
    if kind in _SCALARS or value is None:
        return value
    detail = f"a value of type {kind.__name__}"
    raise BadValueError(detail)
