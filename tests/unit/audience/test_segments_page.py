"""The how-to page of segments says what is true: its examples compile, and its mistakes are told in its words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from clarion.audience.segments import compile_segment
from clarion.audience.traits import Trait
from clarion.kernel.errors import Invalid

PAGE = (Path(__file__).parents[3] / "docs/how-to/segments.md").read_text(encoding="utf-8")
NOW_MS = 1_796_000_000_000


def term(trait: Trait) -> bytes:
    return repr(trait).encode()[-8:].rjust(8)


def block(language: str) -> list[str]:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return text.splitlines()


@pytest.mark.parametrize("expression", block("cel"))
def test_every_example_compiles(expression: str):
    assert compile_segment(expression, term, NOW_MS).refs


@pytest.mark.parametrize(
    ("expression", "line"), list(zip(["plan == 'pro' and vip", "country > 3"], block("text"), strict=True))
)
def test_mistakes_are_told_as_the_page_says(expression: str, line: str):
    with pytest.raises(Invalid) as caught:
        compile_segment(expression, term, NOW_MS)
    assert caught.value.detail == line
