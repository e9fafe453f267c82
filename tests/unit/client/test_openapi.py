"""The client is held against the API's own description."""

from __future__ import annotations

import inspect
from typing import Any, Final

import msgspec
import pytest

from clarion.client import endpoints
from clarion.client.endpoints import SHAPES, Shape
from clarion.client.transport import Endpoint
from clarion.entrypoints.api.app import ROUTES
from clarion.entrypoints.api.openapi import describe

API: Final = describe(ROUTES)


def operation(endpoint: Endpoint) -> dict[str, Any]:
    return API["paths"][endpoint.path][endpoint.method.lower()]


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return API["components"]["schemas"][name] if name else schema


def json_of(part: dict[str, Any]) -> dict[str, Any]:
    return resolve(part["content"]["application/json"]["schema"])


def fields_of(type_: type[msgspec.Struct]) -> dict[str, bool]:
    """Whether each field is required, by name."""
    return {field.encode_name: field.required for field in msgspec.structs.fields(type_)}


def shapes_with(attribute: str) -> list[Any]:
    chosen = [shape for shape in SHAPES if getattr(shape, attribute) is not None]
    return [pytest.param(shape, id=shape.endpoint.operation) for shape in chosen]


def test_schemas_have_names_of_their_own():
    """Two types of one name are told apart by their modules, which would be in every client's types."""
    assert [name for name in API["components"]["schemas"] if "." in name] == []


def test_every_endpoint_of_the_module_is_in_the_table():
    defined = [value for _, value in inspect.getmembers(endpoints) if isinstance(value, Endpoint)]
    assert sorted(map(repr, defined)) == sorted(repr(shape.endpoint) for shape in SHAPES)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.endpoint.operation)
def test_every_endpoint_exists(shape: Shape):
    assert operation(shape.endpoint)["operationId"] == shape.endpoint.operation


@pytest.mark.parametrize("shape", shapes_with("body"))
def test_what_is_written_is_what_is_read(shape: Shape):
    schema = json_of(operation(shape.endpoint)["requestBody"])
    written = fields_of(shape.body)
    # A user's own id stands in the path; in a batch it is a field.
    assert set(written) - {"user_id"} <= set(schema["properties"])
    assert set(schema.get("required", [])) <= set(written)


@pytest.mark.parametrize("shape", shapes_with("answer"))
def test_what_is_read_is_what_is_written(shape: Shape):
    responses = operation(shape.endpoint)["responses"]
    (schema, *_) = [json_of(answer) for status, answer in responses.items() if status < "300"]
    read = fields_of(shape.answer)
    assert set(read) <= set(schema["properties"])
    assert {name for name, required in read.items() if required} <= set(schema["required"])
