"""What a template asks of `data`: a JSON Schema (2020-12). The one place that knows jsonschema-rs.

A schema is a program of the tenant's that runs in the process that accepts everybody's messages. So only schemas are
kept whose work is bounded: references stay inside, form no circle, and are counted as what they expand to; patterns
are matched by an engine without backtracking; and the more a schema asks, the less data it may be asked about.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

import jsonschema_rs
import msgspec

from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

MAX_SCHEMA_BYTES: Final = 32 * 1024
"""Largest schema, as JSON."""

MAX_SCHEMA_DEPTH: Final = 24
"""Deepest nesting of a schema: eight levels of data, at three levels of schema each."""

MAX_WEIGHT: Final = 2000
"""Most members of a schema's maps and lists, each reference counted as what it stands for."""

MAX_PATTERN_CHARS: Final = 500
MAX_PATTERN_BYTES: Final = 1 << 20
"""Memory of one compiled pattern: `(a{1000}){1000}` would take 100 MB."""

MAX_CHECKS: Final = 250_000
"""Weight of a schema times values of the data. A check takes 3 ns, and 100 in the worst schema found: 25 ms an item."""

CHARS_A_VALUE: Final = 100
"""Characters of a text that count as one value more: a pattern has to look at each of them."""

ROOT: Final = "data_schema"

_LOCAL: Final = re.compile(r"#/\$defs/([^/~%]+)")
_REFUSED: Final = {
    "$id": "it moves where references point to",
    "$anchor": "refer to `#/$defs/NAME` by its name",
    "$dynamicRef": "use `$ref`",
    "$dynamicAnchor": "use `$defs`",
    "$recursiveRef": "use `$ref`",
    "$recursiveAnchor": "use `$defs`",
    "$vocabulary": "it belongs into a dialect, not into a schema",
}
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES)
_MASK: Final = "the value"
"""What the engine's sentences have in place of a value of the data, which is PII."""

_SENTENCES: Final[Mapping[str, str]] = {
    "falseSchema": "must not be there",
    "contains": "holds no item of the kind that must be there",
    "uniqueItems": "holds an item twice",
    "anyOf": "fits none of the alternatives",
    "not": "is of a kind that must not be there",
}

_encode: Final = msgspec.json.Encoder().encode


class DataSchema:
    """A schema, ready to check data. `weight`: how much it asks; `size`: its bytes as JSON."""

    __slots__ = ("_most", "_validator", "size", "weight")

    def __init__(self, schema: dict[str, Any]) -> None:
        """Raises Invalid, with a path under `data_schema`, for a schema that `check_data_schema` would refuse."""
        check_storable(schema, ROOT, MAX_SCHEMA_DEPTH)
        self.size = len(_encode(schema))
        if self.size > MAX_SCHEMA_BYTES:
            raise Invalid(f"it has {self.size} bytes; the most is {MAX_SCHEMA_BYTES}", ROOT)
        self.weight = _weigh(schema)
        self._most = MAX_CHECKS // self.weight
        self._validator = _compile(schema)

    def check(self, data: dict[str, Any], path: str = "data") -> int:
        """Pass over data that is as the schema asks; how much work it was, in `MAX_CHECKS`' terms.

        Raises Invalid with the path of the first value that is not (`data.items[3].price`). Its detail quotes the
        schema and never the data.
        """
        found = _measure(data)
        if found > self._most:
            detail = f"holds more than the {self._most} values that a schema of this size can be held against"
            raise Invalid(detail, path)
        if self._validator.is_valid(data):
            return found * self.weight
        raise next(_to_invalid(error, path) for error in self._validator.iter_errors(data))


def check_data_schema(schema: dict[str, Any]) -> None:
    """Pass over a schema that can be kept: it is one, it is of bounded work, and it needs nothing from elsewhere.

    Raises Invalid with a path under `data_schema`: what is wrong, and how to mend it.
    """
    DataSchema(schema)


def _measure(data: dict[str, Any]) -> int:
    """How much there is to look at: one for each value, and one for each CHARS_A_VALUE of a text."""
    found = 0
    rest: list[object] = [data]
    while rest:
        value = rest.pop()
        found += 1
        if isinstance(value, str):
            found += len(value) // CHARS_A_VALUE
        elif isinstance(value, dict):
            rest.extend(cast("dict[str, object]", value).values())
        elif isinstance(value, list):
            rest.extend(cast("list[object]", value))
    return found


def _weigh(schema: dict[str, Any]) -> int:
    """How many members a schema has, references expanded. Raises Invalid where it must not be used."""
    dialect = schema.get("$schema", DIALECT)
    if not isinstance(dialect, str) or dialect.removesuffix("#") != DIALECT:
        raise Invalid(f"only {DIALECT} is spoken here", f"{ROOT}.$schema")
    if schema.get("type", "object") != "object":
        raise Invalid("`data` is always an object: the schema's type must be `object`", f"{ROOT}.type")
    return max(1, _Weigher(schema).weigh_root())


class _Weigher:
    """Counts a schema's members; a definition is weighed once and counted wherever it is referred to."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        defs = schema.get("$defs", {})
        self._defs = cast("dict[str, object]", defs) if isinstance(defs, dict) else {}
        self._known: dict[str, int] = {}
        self._open: list[str] = []

    def weigh_root(self) -> int:
        weight = self._weigh(self._schema, ROOT)
        if weight > MAX_WEIGHT:
            detail = f"with its references expanded it has {weight} members; {MAX_WEIGHT} are the most"
            raise Invalid(detail, ROOT)
        return weight

    def _weigh(self, value: object, path: str) -> int:
        if isinstance(value, list):
            items = cast("list[object]", value)
            return sum(1 + self._weigh(item, f"{path}[{i}]") for i, item in enumerate(items))
        if not isinstance(value, dict):
            return 0
        members = cast("dict[str, object]", value)
        weight = len(members)
        for key, item in members.items():
            place = f"{path}.{key}"
            if isinstance(item, str):
                weight += self._weigh_keyword(key, item, place)
            else:
                weight += self._weigh(item, place)
        return weight

    def _weigh_keyword(self, key: str, text: str, path: str) -> int:
        if key in _REFUSED:
            raise Invalid(f"`{key}` is not supported: {_REFUSED[key]}", path)
        if key == "pattern" and len(text) > MAX_PATTERN_CHARS:
            raise Invalid(f"it has {len(text)} characters; {MAX_PATTERN_CHARS} are the most", path)
        return self._follow(text, path) if key == "$ref" else 0

    def _follow(self, reference: str, path: str) -> int:
        local = _LOCAL.fullmatch(reference)
        if local is None:
            raise Invalid("a reference must be `#/$defs/NAME`: nothing is fetched from elsewhere", path)
        name = local[1]
        if name not in self._defs:
            raise Invalid(f"there is no `$defs.{name}`", path)
        if name in self._open:
            raise Invalid(f"`{name}` refers to itself; a schema must end", path)
        if name not in self._known:
            self._open.append(name)
            self._known[name] = self._weigh(self._defs[name], f"{ROOT}.$defs.{name}")
            self._open.pop()
        return self._known[name]


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=_PATTERNS,
            mask=_MASK,
            offline=True,
        )
    except jsonschema_rs.ValidationError as error:
        raise _no_schema(error) from None
    except ValueError:
        raise Invalid("it is nested too deeply", ROOT) from None


def _no_schema(error: jsonschema_rs.ValidationError) -> Invalid:
    """Why a text is no schema. The path is where it is wrong, as far as the engine says."""
    path = _step(ROOT, error.instance_path)
    sentence = error.message.replace(_MASK, "it")
    if error.kind.name in {"format", "pattern", "patternProperties"} and "regex" in sentence:
        sentence = "is no pattern that is matched here: no look-around, no back-references, and not too large"
    elif error.kind.name == "anyOf" and path.endswith(".type"):
        sentence = "is none of array, boolean, integer, null, number, object, string"
    return Invalid(sentence.partition(". Adjust")[0], path)


def _step(path: str, steps: list[str | int]) -> str:
    for step in steps:
        path = f"{path}[{step}]" if isinstance(step, int) else f"{path}.{step}"
    return path


def _to_invalid(error: jsonschema_rs.ValidationError, path: str) -> Invalid:
    """A finding of the engine's as ours: the path of what is wrong, and a sentence without any value of the data."""
    place, kind = _step(path, error.instance_path), error.kind
    match kind:
        case jsonschema_rs.ValidationErrorKind.Required(name):
            return Invalid("is missing; the template's schema asks for it", f"{place}.{name}")
        case jsonschema_rs.ValidationErrorKind.AdditionalProperties(names):
            return Invalid("is not known to the template's schema", f"{place}.{names[0]}")
        case jsonschema_rs.ValidationErrorKind.UnevaluatedProperties(names):
            return Invalid("is not known to the template's schema", f"{place}.{names[0]}")
        case jsonschema_rs.ValidationErrorKind.PropertyNames():
            return Invalid("has a name that the template's schema does not allow", place)
        case _:
            said = _SENTENCES.get(kind.name) or error.message.replace(_MASK, "it").removeprefix("it ")
            return Invalid(said, place)
