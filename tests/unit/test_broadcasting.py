"""What `clarion broadcast` makes of its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from clarion.entrypoints.cli.broadcasting import Asked, body_of
from clarion.kernel.errors import Invalid


@pytest.fixture
def offer(tmp_path: Path) -> Path:
    file = tmp_path / "offer.json"
    file.write_text('{"category": "marketing", "audience": "all"}')
    return file


def test_a_file_is_sent_as_it_is(offer: Path):
    assert body_of(Asked(offer, None, None)) == {"category": "marketing", "audience": "all"}


def test_what_stands_on_the_line_wins_over_the_file(offer: Path, tmp_path: Path):
    names = tmp_path / "names.txt"
    names.write_text("ada\n\n  bob  \n")
    at = "2026-12-01T09:00"
    assert body_of(Asked(offer, "segment:vip", at)) == {
        "category": "marketing",
        "segment": "vip",
        "send_at": at,
    }
    assert body_of(Asked(offer, f"@{names}", None)) == {"category": "marketing", "user_ids": ["ada", "bob"]}
    assert body_of(Asked(offer, "all", None)) == {"category": "marketing", "audience": "all"}


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"], ids=["cut", "list", "bytes"])
def test_a_file_that_is_no_json_object_is_refused_by_its_name(tmp_path: Path, content: bytes):
    file = tmp_path / "offer.json"
    file.write_bytes(content)
    with pytest.raises(Invalid, match=r"offer\.json"):
        body_of(Asked(file, None, None))


@pytest.mark.parametrize("to", ["everybody", "@/no/such/file"])
def test_an_audience_that_is_none_is_refused(offer: Path, to: str):
    with pytest.raises(Invalid):
        body_of(Asked(offer, to, None))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(Invalid, match=r"none\.json"):
        body_of(Asked(tmp_path / "none.json", None, None))
