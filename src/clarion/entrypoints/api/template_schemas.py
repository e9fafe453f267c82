"""What templates ask of `data`, told to those who write programs: as JSON Schema, and in an OpenAPI of the tenant's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal, cast

import msgspec

from clarion.entrypoints.api import notifications
from clarion.entrypoints.api.openapi import describe
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.template_reads import Number, find_template
from clarion.templates import TemplateVersion
from clarion.templates.data_schema import DIALECT

MAX_DESCRIBED: Final = 200
"""Templates with a schema that one description holds, by name."""

_LOCAL: Final = "#/$defs/"


class SchemaParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version: a number, or the live one."""

    version: Number | Literal["live"] = "live"


@route(
    "GET /api/v1/templates/{name}/schema",
    Spec(
        tag="templates",
        scope="templates:read",
        rate="read",
        query=SchemaParameters,
        answers={200: dict[str, Any]},
    ),
)
async def get_schema(call: Call) -> Reply:
    """The JSON Schema that a version holds `data` against; one that takes anything where it asks for nothing."""
    template = await find_template(call, call.param("name"), call.query(SchemaParameters).version)
    return json_reply({"$schema": DIALECT, **_titled(template)})


@route(
    "GET /api/v1/openapi.json",
    Spec(tag="templates", scope="templates:read", rate="read", answers={200: dict[str, Any]}),
)
async def describe_sending(call: Call) -> Reply:
    """How this tenant sends: OpenAPI 3.1 of the routes that accept, with what each live template asks of `data`."""
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    asking = sorted((t.name, t.version) for t in config.templates.values() if t.has_schema)
    keys = [(call.tenant_id, *key) for key in asking[:MAX_DESCRIBED]]
    found = await region.templates.fetch(keys)
    return json_reply(_describe([found[key] for key in keys if key in found]))


def _describe(templates: Iterable[TemplateVersion]) -> dict[str, Any]:
    document = describe((notifications.create_notification, notifications.create_notifications))
    schemas = document["components"]["schemas"]
    rules: list[dict[str, Any]] = []
    for i, template in enumerate(templates):
        name = f"TemplateData{i + 1}"
        schema = _titled(template)
        schemas[name] = _moved(schema, f"#/components/schemas/{name}/$defs/")
        asked: dict[str, Any] = {"properties": {"data": {"$ref": f"#/components/schemas/{name}"}}}
        if schema.get("required"):
            asked["required"] = ["data"]
        meant = {"properties": {"template": {"const": template.name}}, "required": ["template"]}
        rules.append({"if": meant, "then": asked})
    if rules:
        schemas["NotificationRequest"]["allOf"] = rules
    return document


def _titled(template: TemplateVersion) -> dict[str, Any]:
    title = f"data of {template.name}, version {template.version}"
    return {"title": title, "type": "object", **(template.content.data_schema or {})}


def _moved(value: Any, root: str) -> Any:  # noqa: ANN401  any JSON
    """A schema that stands inside another document: its references lead to where its definitions are now."""
    if isinstance(value, list):
        return [_moved(item, root) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    return {
        key: root + item.removeprefix(_LOCAL)
        if key == "$ref" and isinstance(item, str)
        else _moved(item, root)
        for key, item in members.items()
    }


ROUTES: Final[tuple[Route, ...]] = (get_schema, describe_sending)
