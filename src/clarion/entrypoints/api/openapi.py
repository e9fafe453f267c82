"""The description of the API, made of its routes: OpenAPI 3.1, with the schemas that bodies are decoded by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec

from clarion.contracts.responses import ItemError
from clarion.entrypoints.api.body import NDJSON
from clarion.entrypoints.api.errors import FieldError, Problem, title_of
from clarion.entrypoints.api.examples import NAMES
from clarion.entrypoints.api.replies import Lines, Page, Picture, Script, Table, Zip
from clarion.entrypoints.api.routing import ANY_KEY, Route
from clarion.entrypoints.api.schemas import TEXT, VALUE, VALUE_SCHEMA, exact, lenient_items

_REF: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"{(\w+)}")
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"

_MEDIA: Final[dict[object, str]] = {
    str: "text/plain",
    Page: "text/html",
    Picture: "image/gif",
    Lines: "application/x-ndjson",
    Table: "text/csv",
    Script: "text/javascript",
    Zip: "application/zip",
}
"""What is not JSON, by the type that stands for it in a route's answers."""

_QUOTING: Final = frozenset({Problem.__name__, FieldError.__name__, ItemError.__name__})
"""What quotes a request may hold any text, also such as is refused."""

_SAID: Final = {
    200: "Done",
    201: "Created; it is durable",
    202: "Taken; it is durable, and under way",
    204: "Done; there is nothing to say",
    302: "It is where `Location` says",
    404: "There is no such thing",
    503: "Not now: a store is away",
}

_ABOUT: Final = """Tell users things, and prove what became of it.

Errors are RFC 9457 problems. Times are ISO 8601 with an offset. Unknown fields are refused, with their path.
Administrative calls stand in the audit log; `X-Audit-Reason` (at most 500 characters) says there why.
"""

_REPLAY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "For 24 hours a repeat with this key gets the first answer, with `Idempotent-Replayed: true`.",
    "schema": {
        "type": "string",
        "pattern": r"""^(?:[!#-~](?:[ -~]{0,253}[!-~])?|"(?:[ !#-\[\]-~]|\\["\\]){1,255}")$""",
    },
}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of `routes`."""
    types = list(_types(routes))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(repr, types), map(exact, schemas), strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Clarion", "version": version("clarion"), "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": _components(routes, components),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, or a token (JWT).",
                },
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _components(routes: Iterable[Route], made: dict[str, Any]) -> dict[str, Any]:
    """The schemas by name, as they are published."""
    lenient = {
        route.spec.body.shown.__name__ for route in routes if route.spec.body and route.spec.body.envelope
    }
    told = {name: schema if name in _QUOTING else exact(schema) for name, schema in made.items()}
    told[VALUE] = VALUE_SCHEMA
    return {name: lenient_items(told[name]) if name in lenient else told[name] for name in sorted(told)}


def _types(routes: Iterable[Route]) -> Iterable[Any]:
    """Every type that a route takes or gives, each once."""
    found: dict[str, Any] = {repr(Problem): Problem}
    for route in routes:
        spec = route.spec
        wanted = [*spec.answers.values(), spec.body.shown if spec.body else None]
        found |= {repr(type_): type_ for type_ in wanted if type_ is not None and type_ not in _MEDIA}
        if spec.query is not None:
            found |= {repr(field.type): field.type for field in msgspec.structs.fields(spec.query)}
    return found.values()


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    spec = route.spec
    summary, _, description = (inspect.getdoc(route.handle) or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": route.handle.__name__,
        "tags": [spec.tag],
        "summary": summary.rstrip("."),
        "responses": _responses(route, schemas),
        "security": _security(spec.scope),
    }
    scope = f"Needs the scope `{spec.scope}`." if spec.scope else ""
    told = "\n\n".join(filter(None, [description.strip(), scope]))
    if told:
        operation["description"] = told
    parameters = list(_parameters(route, schemas))
    if parameters:
        operation["parameters"] = parameters
    if spec.body is not None:
        operation["requestBody"] = _request_body(route, schemas)
    return operation


def _security(scope: str | None) -> list[dict[str, list[str]]]:
    """Either credential will do; OpenAPI 3.1 lets a requirement name what the credential must be good for."""
    if scope is None:
        return []
    wanted = [scope] if scope else []
    return [{"bearer": wanted}, {"header": wanted}]


def _parameters(route: Route, schemas: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(route.path):
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": TEXT}
        yield {"name": name, "in": "path", "required": True, "schema": schema, **_place(route.path, name)}
    if route.spec.query is not None:
        for field in msgspec.structs.fields(route.spec.query):
            yield {
                "name": field.encode_name,
                "in": "query",
                "required": field.required,
                "schema": schemas[repr(field.type)],
            }
    if route.method == "POST" and route.spec.scope is not None:
        yield _REPLAY_HEADER


def _place(path: str, name: str) -> dict[str, str]:
    """What goes into a place of a path: an example, or where one is to be had."""
    before = path.partition(f"{{{name}}}")[0]
    example = next((value for end, value in NAMES.items() if f"{before}{{{name}}}".endswith(end)), None)
    if example is None:
        return {"description": f"`{name}` of an earlier answer."}
    return {"example": example}


def _request_body(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    spec = route.spec
    if spec.body is None:
        return {}
    schema = schemas[repr(spec.body.shown)]
    content: dict[str, Any] = {_JSON: _media(schema, spec.examples.get("body"))}
    if spec.lines:
        content[NDJSON.decode()] = {"schema": {"type": "string"}}
    return {"required": True, "content": content}


def _responses(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    spec = route.spec
    responses: dict[str, Any] = {}
    for status, type_ in spec.answers.items():
        response: dict[str, Any] = {"description": _SAID[status]}
        if type_ in _MEDIA:
            response["content"] = {_MEDIA[type_]: {"schema": {"type": "string"}}}
        elif type_ is not None:
            response["content"] = {_JSON: _media(schemas[repr(type_)], spec.examples.get("answer"))}
        responses[str(status)] = response
    for status in _problems(route):
        content = {_PROBLEM: {"schema": schemas[repr(Problem)]}}
        responses.setdefault(str(status), {"description": title_of(status), "content": content})
    return responses


def _problems(route: Route) -> list[int]:
    """The error statuses of a route, in order."""
    spec = route.spec
    statuses = set(spec.problems)
    if spec.scope is not None:
        statuses |= {400, 401, 403, 429, 503}
    if spec.scope == ANY_KEY:
        statuses -= {403}
    if spec.body is not None:
        statuses |= {400, 408, 413, 415}
    if "{" in route.path:
        statuses |= {400, 404}
    if route.method == "POST" and spec.scope is not None:
        statuses |= {409, 422}
    return sorted(statuses)


def _media(schema: Any, example: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    return {"schema": schema} if example is None else {"schema": schema, "example": example}
