from __future__ import annotations

import numpy as np

from clarion.contracts.statuses import WAITING
from clarion.orchestration.schedule import FIRST_STATUSES, due_ms, first_status

NOW = 1_000_000


def status_of(at_ms: int, hour: int, *, seeks: bool) -> str:
    codes = first_status(np.array([at_ms]), np.array([hour]), np.array([seeks]), NOW)
    return FIRST_STATUSES[int(codes[0])]


def test_what_is_due_now_is_queued_however_it_came_to_that():
    assert status_of(NOW, 0, seeks=False) == "queued"
    assert status_of(NOW, 0, seeks=True) == "queued"
    assert status_of(NOW - 1, 0, seeks=False) == "queued"


def test_what_waits_is_named_after_its_reason():
    assert status_of(NOW + 1, 3, seeks=True) == "ml_scheduled"
    assert status_of(NOW + 1, 0, seeks=False) == "scheduled"
    assert status_of(NOW + 1, 3, seeks=False) == "deferred"


def test_the_due_time_is_the_chosen_one_or_at_once():
    assert due_ms(np.array([NOW - 1, NOW, NOW + 1]), NOW).tolist() == [0, 0, NOW + 1]


def test_all_first_statuses_are_states_of_waiting():
    assert set(FIRST_STATUSES) <= WAITING
