"""The pages on templates, held against the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec

from clarion.templates import (
    PartialContent,
    PartialVersion,
    TemplateContent,
    check_partial,
    check_template,
    lint_template,
)
from clarion.templates.finding import FindingCode

DOCS = Path(__file__).parents[3] / "docs"


def page(path: str) -> str:
    return (DOCS / path).read_text(encoding="utf-8")


def examples() -> list[dict[str, Any]]:
    """The JSON on the page about writing templates."""
    return [
        json.loads(block) for block in re.findall(r"(?s)```json\n(.*?)```", page("how-to/write-templates.md"))
    ]


def test_every_example_of_the_page_can_be_saved():
    known: dict[str, PartialVersion] = {}
    saved = 0
    for example in examples():
        name = example.pop("partial", None)
        if name is None:
            checked = check_template(msgspec.convert(example, TemplateContent), known)
            assert checked.resolved is not None
            saved += 1
        else:
            content = msgspec.convert(example, PartialContent)
            check_partial(name, content, known)
            known[name] = PartialVersion(name, 1, content)
    assert saved >= 4
    assert known.keys() == {"footer", "base"}


def test_the_examples_are_no_bad_ones():
    for example in examples():
        if "category" in example and "extends" not in str(example):
            content = msgspec.convert(example, TemplateContent)
            assert not [each for each in lint_template(content) if each.severity == "error"]


def test_each_finding_is_explained():
    header, *documented = re.findall(
        r"^\| `(\w+)` \|", page("reference/template-findings.md"), flags=re.MULTILINE
    )
    assert header == "code"
    assert sorted(documented) == sorted(get_args(FindingCode))
