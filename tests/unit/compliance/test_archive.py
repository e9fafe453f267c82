"""Archives: what goes in comes out, as JSON and as CSV, and no cell runs as a formula."""

from __future__ import annotations

import csv
import io
import json
import secrets
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.archive import About, Gathered, cell, read_manifest
from clarion.compliance.ports import Held
from clarion.kernel.errors import Permanent

ABOUT = About("0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d10", "ada", 1_800_000_000_000)

texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["id", "at", "word", "Größe", "=cmd"]), values)


def pack(*portions: Held) -> dict[str, str]:
    """The files of an archive of these portions."""
    gathered = Gathered()
    for portion in portions:
        gathered.add(portion)
    packed = gathered.pack(ABOUT)
    read_manifest(packed)
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


@given(st.lists(records, max_size=12), st.integers(1, 5))
def test_what_goes_in_comes_out(rows: list[dict[str, Any]], size: int):
    portions = [Held("things", rows[at : at + size]) for at in range(0, len(rows), size)]
    files = pack(Held("things", []), *portions)
    assert json.loads(files["things.json"]) == rows
    text = files["things.csv"]
    assert text.startswith("\ufeff")
    header, *lines = csv.reader(io.StringIO(text[1:], newline="")) if rows and any(rows) else [[]]
    if header:
        assert len(lines) == len(rows)
        for row, line in zip(rows, lines, strict=True):
            shown = dict(zip(header, line, strict=True))
            assert {cell(name) for name in row} <= set(header)
            assert all(shown[cell(name)] == cell(value) for name, value in row.items())


@given(texts)
def test_no_cell_begins_a_formula(text: str):
    shown = cell(text)
    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert shown in {text, f"'{text}"}


@pytest.mark.parametrize(
    "payload", ['=HYPERLINK("http://x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]
)
def test_known_formulas_are_texts(payload: str):
    files = pack(Held("things", [{payload: payload}]))
    cells = [one for row in csv.reader(io.StringIO(files["things.csv"][1:], newline="")) for one in row]
    assert cells == [f"'{payload}"] * 2
    assert json.loads(files["things.json"]) == [{payload: payload}]


def test_numbers_stay_numbers():
    assert [cell(value) for value in (-5, 1.5, True, False, None)] == ["-5", "1.5", "true", "false", ""]


def test_the_same_records_make_the_same_archive():
    first, second = Gathered(), Gathered()
    for gathered in (first, second):
        gathered.add(Held("things", [{"a": 1}]))
    assert first.pack(ABOUT) == second.pack(ABOUT)


def test_a_manifest_notices_a_changed_file():
    gathered = Gathered()
    gathered.add(Held("things", [{"a": 1}]))
    packed = io.BytesIO(gathered.pack(ABOUT))
    with zipfile.ZipFile(packed, "a") as opened:
        opened.writestr("more.json", "[]")
    with pytest.raises(Permanent):
        read_manifest(packed.getvalue())


def test_nobody_fills_the_memory():
    gathered = Gathered(most=100_000)
    gathered.add(Held("things", [{"word": secrets.token_hex(10_000)}]))
    with pytest.raises(Permanent, match="more is held"):
        gathered.add(Held("things", [{"word": secrets.token_hex(200_000)}]))
