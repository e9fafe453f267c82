"""P-01, one prediction of a send time, features read from Valkey: p99 below 10 ms.

By the bench `send_time`, with fewer predictions: the forecasts of a decision, one user at a time. `make bench` measures
with all. The specification's own text is not in this repository.
"""

from __future__ import annotations

from bench.send_time import BAR_MS, best_time, measure, quietest


def test_P01_a_send_time_is_predicted_in_less_than_ten_milliseconds():
    spans, _, fell_back = measure(2_000, best_time)
    assert quietest(spans) < BAR_MS
    assert fell_back < 20
