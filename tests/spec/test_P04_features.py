"""P-04, one user's 48 features, read from Valkey: p99 below 5 ms. By the bench `features`, as P-01, without Feast."""

from __future__ import annotations

from bench.features import BAR_MS, measure_ours
from bench.send_time import quietest


def test_P04_a_users_features_are_read_in_less_than_five_milliseconds():
    assert quietest(measure_ours(2_000).spans) < BAR_MS
