"""When the features role looks again."""

from __future__ import annotations

import pytest

from clarion.entrypoints.workers.features import (
    ENTRIES,
    GATHER_S,
    GIVE_WAY_S,
    PATIENCE_S,
    Portion,
    pause_after,
)


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
