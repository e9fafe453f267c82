"""P-09, routing: choosing a provider among ten takes less than 2 ms (p99).

Read as in the design's table of figures. Measured is all that routing adds to a message, by the bench `route`, with
fewer messages; `make bench` measures with all. The specification's own text is not in this repository.
"""

from __future__ import annotations

from bench.route import BAR_MS, run


def test_P09_choosing_among_ten_takes_less_than_two_milliseconds():
    result = run(messages=10_000)
    assert result.p99_ms is not None
    assert result.p99_ms < BAR_MS
    assert result.ok
    assert len(result.detail["chosen"]) > 1, "there was something to choose"
