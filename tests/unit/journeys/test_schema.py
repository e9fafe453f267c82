"""The published schema and the compiler agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Spec
from clarion.journeys.reading.kinds import READERS
from clarion.journeys.schema import COMMON, KIND_FIELDS, SETTINGS, TRIGGER, journey_schema
from tests.unit.journeys.definitions import BROKEN, SOUND

PAGE: Final = Path(__file__).parents[3] / "docs/reference/journeys.md"
_VALIDATOR: Final[Any] = jsonschema_rs.Draft202012Validator(journey_schema())


def refusals(definition: Any) -> list[str]:
    """What the schema has against a definition."""
    return [error.message for error in _VALIDATOR.iter_errors(definition)]


def test_the_schema_is_one() -> None:
    jsonschema_rs.meta.validate(journey_schema())


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


def test_the_page_has_every_kind_field_and_setting() -> None:
    page = PAGE.read_text()

    assert [kind for kind in KIND_FIELDS if f"| `{kind}` |" not in page] == []
    names = {name for fields in (*KIND_FIELDS.values(), COMMON, SETTINGS, TRIGGER) for name in fields}
    assert [name for name in sorted(names) if f"`{name}`" not in page and f"{name}," not in page] == []


def test_the_page_begins_with_a_sound_journey() -> None:
    example = PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]

    assert [one.level for one in compile_journey(yaml.safe_load(example)).findings] == ["note", "note"]
