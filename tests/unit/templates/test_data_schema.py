"""What a template asks of `data`: which schemas are kept, and what they say of data that does not fit."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.kernel.errors import Invalid
from clarion.templates.data_schema import MAX_SCHEMA_BYTES, DataSchema, check_data_schema

ORDER: dict[str, Any] = {
    "type": "object",
    "required": ["order", "items"],
    "properties": {
        "order": {"type": "string", "pattern": "^[0-9]+$", "maxLength": 12},
        "mail": {"format": "email"},
        "state": {"enum": ["open", "shipped"]},
        "items": {"type": "array", "maxItems": 50, "items": {"$ref": "#/$defs/item"}},
    },
    "$defs": {
        "item": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "price": {"type": "number", "minimum": 0}},
            "additionalProperties": False,
        }
    },
}


def laughs(levels: int) -> dict[str, Any]:
    """A schema of a few hundred bytes that asks 10 ** levels times."""
    defs: dict[str, Any] = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 10} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"minProperties": 1}}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"a": {"type": "strin"}}}, "data_schema.properties.a.type"),
        ({"properties": {"a": {"minLength": -1}}}, "data_schema.properties.a.minLength"),
        ({"properties": {"a": {"format": "e-mail"}}}, "data_schema.properties.a.format"),
        ({"type": "array"}, "data_schema.type"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "data_schema.$schema"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}, "data_schema.properties.a.$ref"),
        ({"properties": {"a": {"$ref": "file:///etc/passwd"}}}, "data_schema.properties.a.$ref"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "data_schema.properties.a.$ref"),
        ({"$id": "http://example.com/", "properties": {}}, "data_schema.$id"),
        ({"$ref": "#"}, "data_schema.$ref"),
        (
            {"$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}},
            "data_schema.$defs.a.items.$ref",
        ),
        ({"properties": {"a": {"pattern": "(a+)+(?=b)"}}}, "data_schema.properties.a.pattern"),
        ({"properties": {"a": {"pattern": "((a{1000}){1000}){1000}"}}}, "data_schema.properties.a.pattern"),
        (
            {"patternProperties": {"(a{1000}){1000}": {}}},
            "data_schema.patternProperties.(a{1000}){1000}",
        ),
        ({"properties": {"a": {"pattern": "a" * 501}}}, "data_schema.properties.a.pattern"),
        (laughs(9), "data_schema"),
        (nested(30), "data_schema" + ".not" * 24),
        (nested(5000), "data_schema" + ".not" * 24),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "data_schema"),
        ({"description": "\0"}, "data_schema.description"),
    ],
)
def test_a_schema_that_cannot_be_kept_says_where_and_at_once(schema: dict[str, Any], path: str):
    began = time.perf_counter()
    with pytest.raises(Invalid) as refused:
        check_data_schema(schema)
    assert refused.value.path == path
    assert refused.value.detail
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "schema", [{}, ORDER, {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}}]
)
def test_schemas_that_are_kept(schema: dict[str, Any]):
    check_data_schema(schema)


MISFITS: list[tuple[dict[str, Any], str, str]] = [
    ({"order": 1815}, "data.order", 'not of type "string"'),
    ({"order": "secret"}, "data.order", 'does not match "^[0-9]+$"'),
    ({"order": None}, "data.order", "not of type"),
    ({"mail": "secret"}, "data.mail", "email"),
    ({"state": "secret"}, "data.state", '"open" or "shipped"'),
    ({"items": [{"name": "a"}, {"name": "b", "price": "secret"}]}, "data.items[1].price", "number"),
    ({"items": [{"name": "a", "price": -7}]}, "data.items[0].price", "minimum of 0"),
    ({"items": [{}]}, "data.items[0].name", "missing"),
    ({"items": [{"name": "a", "secret": 1}]}, "data.items[0].secret", "not known"),
    ({"items": [{"name": "a"}] * 51}, "data.items", "50 items"),
]


@pytest.mark.parametrize(("change", "path", "said"), MISFITS)
def test_data_that_does_not_fit_is_told_by_its_path_and_without_its_values(
    change: dict[str, Any], path: str, said: str
):
    data: dict[str, Any] = {"order": "1815", "items": [], **change}
    with pytest.raises(Invalid) as refused:
        DataSchema(ORDER).check(data)
    assert refused.value.path == path
    assert said in refused.value.detail
    assert "secret" not in refused.value.detail


def test_what_is_missing_is_named():
    with pytest.raises(Invalid) as refused:
        DataSchema(ORDER).check({"items": []})
    assert refused.value.path == "data.order"


def test_a_pattern_that_would_backtrack_for_ever_takes_no_time():
    schema = DataSchema({"properties": {"a": {"pattern": "^(a+)+$"}}})
    began = time.perf_counter()
    with pytest.raises(Invalid):
        schema.check({"a": "a" * 100_000 + "b"})
    assert time.perf_counter() - began < 1


def test_the_more_a_schema_asks_the_less_data_it_is_asked_about():
    large = {f"p{i}": {"type": "string"} for i in range(600)}
    schema = DataSchema({"properties": large})
    schema.check({"items": list(range(100))})
    with pytest.raises(Invalid, match="more than the") as refused:
        schema.check({"items": [list(range(100))] * 10})
    assert refused.value.path == "data"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abtype$"), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYWORDS = [
    "type",
    "properties",
    "items",
    "allOf",
    "not",
    "enum",
    "const",
    "$ref",
    "$defs",
    "pattern",
    "format",
]
keywords = st.sampled_from(KEYWORDS)


@given(
    st.dictionaries(keywords, values, max_size=4),
    st.dictionaries(st.text(max_size=4), values, max_size=4),
)
def test_whatever_is_given_it_is_kept_or_refused_and_never_breaks(
    schema: dict[str, Any], data: dict[str, Any]
):
    with contextlib.suppress(Invalid):
        DataSchema(schema).check(data)
