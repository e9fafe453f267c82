"""Filters of our own, in place of the engine's that make without bound: these know the size of a result beforehand.

They are called with what the template writes, raise `Unrenderable`, and get None for an undefined value as for null.
The order of their parameters is Jinja's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeGuard
from urllib.parse import quote

from minijinja import escape, safe

from clarion.templates.errors import Unrenderable
from clarion.templates.meter import Meter
from clarion.templates.values import FrozenList

MAX_TEXT: Final = 256 * 1024
"""Characters of the largest text that a filter makes."""

MAX_ELEMENTS: Final = 10_000
"""Elements of the largest list that a filter takes or makes; values inside the largest `tojson`."""

MAX_RANGE: Final = 1000
"""Elements of the largest `range`: loops are for lists, a range is for stars and page numbers."""

CHARS_PER_ELEMENT: Final = 16
"""What an element of a list costs of the budget for characters."""

MAX_WIDTH: Final = 64
"""Most columns that `indent` and a field of `format` fill, and the largest precision."""

MAX_PRODUCT: Final = 10**18
"""Largest result of `times`: repeated, it would double the digits of a number at each step."""

MAX_JSON_INDENT: Final = 8

_FIELD: Final = re.compile(r"%(?:\((\w+)\))?[-+ 0#]*(\*|\d*)(?:\.(\*|\d*))?(.?)", re.DOTALL)
_PLAIN_IN_URLS: Final = re.compile(r"[\w.~/-]*", re.ASCII)
_FIELD_LETTERS: Final = frozenset("sdifeEgG%")
_HTML_IN_JSON: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "'": "\\u0027"})


def own_filters(meter: Meter) -> dict[str, Callable[..., Any]]:
    """The filters by name. What they make is charged to `meter`, as what is printed is."""

    def charged(make: Callable[..., str | list[Any]]) -> Callable[..., object]:
        def run(*args: object, **kwargs: object) -> object:
            made = make(*args, **kwargs)
            meter.charge(len(made) if isinstance(made, str) else len(made) * CHARS_PER_ELEMENT)
            return made

        return run

    makers = (
        _batch, _dictsort, _format, _indent, _items, _join, _lines, _list, _replace, _slice, _split, _tojson, _truncate,
        _urlencode,
    )  # fmt: skip
    return {"times": _times} | {make.__name__[1:]: charged(make) for make in makers}


def make_range(meter: Meter) -> Callable[..., FrozenList]:
    """The function `range`."""

    def numbers(start: object, stop: object = None, step: object = 1) -> FrozenList:
        first, end = (0, start) if stop is None else (start, stop)
        if not (isinstance(first, int) and isinstance(end, int) and isinstance(step, int)) or step == 0:
            raise Unrenderable("operation", "`range` takes whole numbers")
        made = range(first, end, step)
        if len(made) > MAX_RANGE:
            detail = f"`range` makes at most {MAX_RANGE} numbers"
            raise Unrenderable("too_long", detail)
        meter.charge(len(made) * CHARS_PER_ELEMENT)
        return FrozenList(made)

    return numbers


def is_map(value: object) -> TypeGuard[dict[str, Any]]:
    """The test `mapping`."""
    return isinstance(value, dict)


# What the filters take ------------------------------------------------------------------------------------------------


def _text(value: object, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    raise _wrong(value, f"`{name}` takes a text")


def _count(value: object, name: str, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise _wrong(value, f"`{name}` takes whole numbers up to {most}")
    return value


def _elements(value: object, name: str) -> list[Any]:
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise _wrong(value, f"`{name}` takes a list")
    elements: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]  isinstance cannot know of what
    if len(elements) > MAX_ELEMENTS:
        detail = f"`{name}` takes at most {MAX_ELEMENTS} elements"
        raise Unrenderable("too_long", detail)
    return elements


def _wrong(value: object, detail: str) -> Unrenderable:
    if value is None:
        return Unrenderable("null", f"{detail}, and was given a missing or null value")
    return Unrenderable("operation", detail)


def _check_length(characters: int, name: str) -> None:
    if characters > MAX_TEXT:
        detail = f"`{name}` would make a text of more than {MAX_TEXT} characters"
        raise Unrenderable("too_long", detail)


# Texts ----------------------------------------------------------------------------------------------------------------


def _join(value: object, separator: object = "", attribute: object = None) -> str:
    elements = _elements(value, "join")
    if isinstance(attribute, str):
        elements = [_attribute(element, attribute) for element in elements]
    texts = [_text(element, "join") for element in elements]
    between = _text(separator, "join")
    _check_length(sum(map(len, texts)) + len(between) * len(texts), "join")
    if any(hasattr(text, "__html__") for text in (between, *texts)):
        # One is marked as safe: then the others are escaped here, as by the engine's own filter.
        return safe(str(escape(between)).join(str(escape(text)) for text in texts))
    return between.join(texts)


def _attribute(element: object, path: str) -> object:
    for key in path.split("."):
        if not is_map(element) or key not in element:
            detail = f"`join` finds no `{path}` in an element"
            raise Unrenderable("undefined", detail)
        element = element[key]
    return element


def _replace(value: object, old: object, new: object) -> str:
    text, wanted, instead = (str(_text(each, "replace")) for each in (value, old, new))
    if not wanted:
        raise Unrenderable("operation", "`replace` needs something to look for")
    _check_length(len(text) + text.count(wanted) * max(0, len(instead) - len(wanted)), "replace")
    return text.replace(wanted, instead)


def _format(value: object, *args: object, **kwargs: object) -> str:
    template = str(_text(value, "format"))
    fields = _FIELD.findall(template)
    for _, width, precision, letter in fields:
        if letter not in _FIELD_LETTERS or "*" in (width, precision):
            raise Unrenderable("operation", "`format` knows %s, %d, %i, %f, %e, %g and %%")
        for columns in (width, precision):
            _count(int(columns or 0), "format", MAX_WIDTH)
    positional, named = [_field(each) for each in args], {name: _field(each) for name, each in kwargs.items()}
    longest = max((len(str(each)) for each in (*positional, *named.values())), default=0)
    _check_length(len(template) + len(fields) * max(longest, 2 * MAX_WIDTH), "format")
    try:
        return template % (named or tuple(positional))
    except (TypeError, ValueError, KeyError, OverflowError):
        raise Unrenderable("operation", "`format` was given values that do not fit its fields") from None


def _field(value: object) -> str | int | float:
    return value if isinstance(value, int | float) else str(_text(value, "format"))


def _indent(value: object, width: object = 4, first: object = None, blank: object = None) -> str:
    lines = str(_text(value, "indent")).split("\n")
    margin = str(width) if isinstance(width, str) else " " * _count(width, "indent", MAX_WIDTH)
    _check_length(sum(map(len, lines)) + len(lines) * (len(margin) + 1), "indent")
    indented = [margin + line if line or blank else line for line in lines[1:]]
    return "\n".join([margin + lines[0] if first else lines[0], *indented])


def _truncate(
    value: object, length: object = 255, killwords: object = None, end: object = "...", leeway: object = 0
) -> str:
    text, ending = str(_text(value, "truncate")), str(_text(end, "truncate"))
    most = _count(length, "truncate", MAX_TEXT)
    if len(text) <= most + _count(leeway, "truncate", MAX_TEXT):
        return text
    kept = text[: max(0, most - len(ending))]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + ending


def _urlencode(value: object) -> str:
    text = str(_text(value, "urlencode"))
    if _PLAIN_IN_URLS.fullmatch(text):
        return text  # most are numbers and names: half the time
    _check_length(len(text), "urlencode")
    return quote(text, safe="/")


def _tojson(value: object, indent: object = None) -> str:
    """JSON that is escaped like any text: it can stand in an attribute, where the engine's own would break out."""
    columns = None if indent in (None, False) else _count(indent, "tojson", MAX_JSON_INDENT)
    text = json.dumps(_thaw(value, _Allowance()), ensure_ascii=False, indent=columns).translate(_HTML_IN_JSON)
    _check_length(len(text), "tojson")
    return text


class _Allowance:
    """How many values `tojson` may still write: a short template can nest a list into itself many times."""

    def __init__(self) -> None:
        self.left = MAX_ELEMENTS

    def take(self, values: int) -> None:
        self.left -= values
        if self.left < 0:
            detail = f"`tojson` takes at most {MAX_ELEMENTS} values"
            raise Unrenderable("too_long", detail)


def _thaw(value: object, allowance: _Allowance) -> object:
    """Plain containers in place of ours, which have no methods for `json` to call."""
    allowance.take(1)
    if is_map(value):
        return {key: _thaw(item, allowance) for key, item in dict[str, Any].items(value)}
    if isinstance(value, list | tuple):
        return [_thaw(item, allowance) for item in _elements(value, "tojson")]  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, str):
        allowance.take(len(value) * MAX_ELEMENTS // MAX_TEXT)
        return str(value)
    return value


# Lists and numbers ----------------------------------------------------------------------------------------------------


def _slice(value: object, slices: object, fill_with: object = None) -> FrozenList:
    elements, count = _elements(value, "slice"), max(1, _count(slices, "slice", MAX_ELEMENTS))
    size, longer = divmod(len(elements), count)
    made: list[FrozenList] = []
    start = 0
    for i in range(count):
        end = start + size + (i < longer)
        filler = [fill_with] if fill_with is not None and 0 < longer <= i else []
        made.append(FrozenList(elements[start:end] + filler))
        start = end
    return FrozenList(made)


def _batch(value: object, linecount: object, fill_with: object = None) -> FrozenList:
    elements, count = _elements(value, "batch"), max(1, _count(linecount, "batch", MAX_ELEMENTS))
    if fill_with is not None:
        elements += [fill_with] * (-len(elements) % count)
    return FrozenList([FrozenList(elements[i : i + count]) for i in range(0, len(elements), count)])


def _items(value: object) -> FrozenList:
    if not is_map(value):
        raise _wrong(value, "`items` takes a map")
    return FrozenList(FrozenList(pair) for pair in dict[str, Any].items(value))


def _list(value: object) -> FrozenList:
    return FrozenList(_elements([*str(value)] if isinstance(value, str) else value, "list"))


def _lines(value: object) -> FrozenList:
    return FrozenList(_elements(str(_text(value, "lines")).splitlines(), "lines"))


def _split(value: object, separator: object = None, maxsplit: object = None) -> FrozenList:
    text, most = (
        str(_text(value, "split")),
        -1 if maxsplit is None else _count(maxsplit, "split", MAX_ELEMENTS),
    )
    between = None if separator is None else str(_text(separator, "split"))
    if between == "":
        raise Unrenderable("operation", "`split` needs something to split at")
    return FrozenList(_elements(text.split(between, most), "split"))


def _dictsort(
    value: object, case_sensitive: object = None, by: object = "key", reverse: object = None
) -> FrozenList:
    column = 1 if by == "value" else 0

    def sort_key(pair: tuple[str, Any]) -> Any:  # noqa: ANN401  whatever the map holds; if it has no order, below
        key = pair[column]
        return key.lower() if isinstance(key, str) and not case_sensitive else key

    try:
        return FrozenList(sorted(_items(value), key=sort_key, reverse=bool(reverse)))
    except TypeError:
        raise Unrenderable("operation", "`dictsort` was given values that cannot be compared") from None


def _times(value: object, factor: object) -> int | float:
    if not _is_number(value) or not _is_number(factor):
        raise _wrong(value, "`times` takes numbers")
    product = value * factor
    if abs(product) > MAX_PRODUCT:
        raise Unrenderable("too_long", "`times` would make a number of more than 18 digits")
    return product


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
