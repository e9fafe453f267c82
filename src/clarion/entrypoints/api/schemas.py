"""JSON Schema as msgspec makes it, told more exactly: what every string, number and free value here has in common."""

from __future__ import annotations

from typing import Any, Final, cast

from clarion.kernel.text import MAX_INTEGER, MIN_INTEGER

TEXT: Final = r"^[^\u0000]*$"
"""Text that every store can keep. JSON Schema's strings hold no lone surrogates."""

VALUE: Final = "JsonValue"
"""The component that stands for any JSON that is kept here."""

_ANY: Final = {"$ref": f"#/components/schemas/{VALUE}"}
_NAMES: Final = {"pattern": TEXT}
_OBJECT: Final[dict[str, Any]] = {
    "type": "object",
    "propertyNames": _NAMES,
    "additionalProperties": _ANY,
    "maxProperties": 1000,
}

VALUE_SCHEMA: Final[dict[str, Any]] = {
    "description": "Any JSON without U+0000, at most 32 levels deep, with at most 1000 entries an array or object.",
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "number", "minimum": MIN_INTEGER, "maximum": MAX_INTEGER},
        {"type": "string", "pattern": TEXT},
        {"type": "array", "items": _ANY, "maxItems": 1000},
        _OBJECT,
    ],
}

_SAID_OTHERWISE: Final = frozenset({"enum", "const", "pattern", "format"})


def exact(schema: Any) -> Any:  # noqa: ANN401  JSON
    """The schema with what msgspec's does not say: free values, text, names of members, and money as a number."""
    if isinstance(schema, list):
        return [exact(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    given = cast("dict[str, Any]", schema)
    if not given.keys() - {"default", "description", "title"}:
        return {**_ANY, **given}
    told = {
        name: {key: exact(value) for key, value in part.items()} if name == "properties" else exact(part)
        for name, part in given.items()
        if name not in {"default", "enum", "const", "examples", "required"}
    }
    kept = {name: part for name, part in given.items() if name not in told}
    return _of_kind({**told, **kept})


def _of_kind(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if kind == "string" and schema.get("format") == "decimal":
        return {**{name: part for name, part in schema.items() if name != "format"}, "type": "number"}
    if kind == "string" and not schema.keys() & _SAID_OTHERWISE:
        return {**schema, "pattern": TEXT}
    if kind == "object" and "properties" not in schema:
        return {**_OBJECT, **schema, "propertyNames": {**_NAMES, **schema.get("propertyNames", {})}}
    return schema


def lenient_items(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a batch whose items are each judged by itself: any item is taken, and a wrong one told."""
    properties = {
        name: {
            **part,
            "items": {"anyOf": [part["items"], {"description": "A wrong item is told by its `error`."}]},
        }
        if part.get("type") == "array"
        else part
        for name, part in schema["properties"].items()
    }
    return {**schema, "properties": properties}
