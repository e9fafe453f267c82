"""The published schema and the compiler agree."""

from __future__ import annotations

from typing import Any, Final

import jsonschema
import pytest

from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Spec
from clarion.journeys.reading.kinds import READERS
from clarion.journeys.schema import KIND_FIELDS, journey_schema
from tests.unit.journeys.definitions import BROKEN, SOUND

_VALIDATOR: Final[Any] = jsonschema.Draft202012Validator(journey_schema())


def refusals(definition: Any) -> list[str]:
    """What the schema has against a definition."""
    return [error.message for error in _VALIDATOR.iter_errors(definition)]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(journey_schema())


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_so_for_both(name: str) -> None:
    compiled = compile_journey(SOUND[name])

    assert [one for one in compiled.findings if one.level == "error"] == []
    assert refusals(SOUND[name]) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_so_for_both(name: str) -> None:
    assert compile_journey(BROKEN[name]).graph is None
    assert refusals(BROKEN[name])


def test_every_kind_is_described() -> None:
    assert set(KIND_FIELDS) == set(READERS)
    assert len(READERS) == len(Spec.__args__)


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, fields in KIND_FIELDS.items() for name in fields]
)
def test_every_field_that_the_schema_proposes_is_read(kind: str, name: str) -> None:
    step: dict[str, Any] = {"type": kind, name: None}

    findings = compile_journey({"name": "a", "steps": [{**step, name: "x"}]}).findings

    assert not any("there is no field" in finding.message for finding in findings)
