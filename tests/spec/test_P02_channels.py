"""P-02, the scores of all channels of a user: p99 below 15 ms. By the bench `channels`, as P-01."""

from __future__ import annotations

from bench.channels import BAR_MS, score_channels
from bench.send_time import measure, quietest


def test_P02_all_channels_are_scored_in_less_than_fifteen_milliseconds():
    spans, _, fell_back = measure(2_000, score_channels)
    assert quietest(spans) < BAR_MS
    assert fell_back < 20
