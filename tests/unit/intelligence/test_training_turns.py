"""When a training that failed is tried again."""

from __future__ import annotations

from clarion.entrypoints.training_turns import retry_after_ms
from clarion.kernel.local_time import DAY_MS, MINUTE_MS


def test_failures_are_tried_again_ever_later_and_within_a_day():
    assert [retry_after_ms(failures) // MINUTE_MS for failures in (0, 1, 2)] == [5, 10, 20]
    assert retry_after_ms(9) == retry_after_ms(10_000) == DAY_MS
