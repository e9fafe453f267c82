"""When the features role looks again."""

from __future__ import annotations

import pytest

from clarion.entrypoints.workers.features import (
    ARCHIVE_PATIENCE_MS,
    ENTRIES,
    GATHER_S,
    GIVE_WAY_S,
    PATIENCE_S,
    Portion,
    archive_pause,
    pause_after,
)
from clarion.intelligence.features.live import Unwritten


@pytest.mark.parametrize(
    ("portion", "pause_s"),
    [
        (Portion(1, 0.01, 0, 0), GATHER_S),
        (Portion(ENTRIES, 0.1, 0, 0), 0.0),
        (Portion(1, 0.1, 0, 0.02), 0.5),
        (Portion(ENTRIES, 3.0, 0, 0.02), GIVE_WAY_S),
        (Portion(ENTRIES, 3.0, PATIENCE_S + 1, 0.02), 0.0),
    ],
    ids=["idle", "behind", "busy", "very busy", "patience is over"],
)
def test_it_gives_way_to_deliveries_and_not_for_long(portion: Portion, pause_s: float) -> None:
    assert pause_after(portion) == pytest.approx(pause_s)


@pytest.mark.parametrize(
    ("waited_ms", "late_s", "pause_s"),
    [(0, 0.0, 0.0), (0, 0.02, GIVE_WAY_S), (ARCHIVE_PATIENCE_MS, 0.02, 0.0)],
    ids=["idle", "busy", "patience is over"],
)
def test_the_archive_gives_way_for_some_minutes(waited_ms: int, late_s: float, pause_s: float) -> None:
    assert archive_pause(waited_ms, late_s) == pause_s


def test_who_changed_first_is_archived_first_and_waits_since_then() -> None:
    unwritten = Unwritten()
    unwritten.add([(1, b"a"), (2, b"b")], at_ms=1_000)
    unwritten.add([(1, b"a"), (3, b"a")], at_ms=5_000)
    assert unwritten.waited_ms(6_000) == 5_000
    assert unwritten.take(2) == {b"a": [1], b"b": [2]}
    assert unwritten.waited_ms(6_000) == 1_000
    assert len(unwritten) == 1
