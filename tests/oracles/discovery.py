"""From a discovery document of Google to JSON Schema, as strict as Google's own servers: unknown fields are refused."""

from __future__ import annotations

from typing import Any, Final, cast

_KEPT: Final = ("type", "enum", "pattern")


def schema_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The schema of one message of a discovery document, with all that it refers to under `$defs`."""
    schemas = cast("dict[str, dict[str, Any]]", document["schemas"])
    wanted, definitions = [name], dict[str, Any]()
    while wanted:
        current = wanted.pop()
        if current not in definitions:
            definitions[current] = _convert(schemas[current], wanted)
    return {"$ref": f"#/$defs/{name}", "$defs": definitions}


def _convert(schema: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    if "$ref" in schema:
        wanted.append(str(schema["$ref"]))
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    out = {key: schema[key] for key in _KEPT if key in schema and schema[key] != "any"}
    if "items" in schema:
        out["items"] = _convert(schema["items"], wanted)
    values = schema.get("additionalProperties")
    if values is not None:
        out["additionalProperties"] = _convert(values, wanted)
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties", {}))
    if properties:
        out["properties"] = {field: _convert(of, wanted) for field, of in properties.items()}
        out.setdefault("additionalProperties", False)
    return out
