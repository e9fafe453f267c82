"""Histories that some release recorded, replayed on today's engine from the very bytes that it stored."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clarion.testing.journey_history import History, replay

HISTORIES = sorted(Path(__file__).parent.glob("*.json"))


def test_there_are_histories():
    assert len(HISTORIES) >= 8


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_run_moves_on_as_it_did(path: Path):
    history = msgspec.json.decode(path.read_bytes(), type=History)
    for number, (recorded, now) in enumerate(replay(history)):
        # As JSON: what was recorded has no tuples, and no fields that were appended since.
        plain = msgspec.json.decode(msgspec.json.encode(now))
        plain["progress"] = plain["progress"][: len(recorded["progress"])]
        assert plain == recorded, f"transition {number}"
