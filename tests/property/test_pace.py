"""A pace, whatever is asked of it and whenever: never more than its rate, and nobody waits for nothing."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.pace import (
    BOOK_AHEAD_MS,
    BURST_MS,
    PATIENCE_MS,
    SLOWEST,
    URGENT_AHEAD_MS,
    Ask,
    DayLeft,
    Pace,
    Slowing,
    slow,
    take,
)

KEY: Final = (bytes(16), "acme")
START: Final = 1_795_348_800_000
LOTS: Final = DayLeft(1 << 40, 0.0)

asks = st.tuples(
    st.integers(0, 5_000),  # ms since the one before
    st.integers(0, 600),  # messages
    st.integers(0, 600),  # of them urgent, at most
    st.integers(0, 2_000),  # behind them
)


@given(rate=st.floats(0.5, 5_000), course=st.lists(asks, min_size=1, max_size=60))
def test_no_stretch_of_time_sees_more_than_its_rate(rate: float, course: list[tuple[int, int, int, int]]):
    pace, now_ms, taken = Pace(), START, 0
    for later_ms, count, urgent, behind in course:
        now_ms += later_ms
        ask = Ask(KEY, count, min(urgent, count), behind, per_s=rate)
        pace, grant = take(pace, ask, LOTS, now_ms)
        taken += grant.taken
        assert 0 <= grant.taken <= count
        assert 0 <= grant.wait_ms <= PATIENCE_MS + 1e-6
        assert 0 <= grant.next_ms <= BOOK_AHEAD_MS
        assert bool(grant.step_ms) == bool(count - grant.taken + behind)
    spare_ms = max(BURST_MS, 1000 / rate) + PATIENCE_MS + URGENT_AHEAD_MS
    assert taken <= (now_ms - START + spare_ms) * rate / 1000 + 1


@given(left=st.integers(0, 500), count=st.integers(0, 600), urgent=st.integers(0, 600))
def test_a_day_gives_what_it_has_left_and_tells_the_rest_when_it_ends(left: int, count: int, urgent: int):
    ask = Ask(KEY, count, min(urgent, count))
    _, grant = take(Pace(), ask, DayLeft(left, 60_000), START)
    assert grant.taken == min(left, count)
    if count > left:
        assert grant.next_ms >= 60_000


@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.integers(0, 100), st.integers(0, 100), st.floats(0, 10_000)),
        max_size=40,
    )
)
def test_however_a_vendor_throttles_something_goes_on(course: list[tuple[int, int, int, float]]):
    pace, now_ms = Pace(), START
    for later_ms, sent, throttled, seen_per_s in course:
        now_ms += later_ms
        before = pace.rate
        pace = slow(pace, Slowing(KEY, sent, throttled, seen_per_s), now_ms)
        assert pace.rate == 0 or pace.rate >= SLOWEST
        if throttled and before and pace.slowed_ms == now_ms:
            assert pace.rate <= pace.ceiling
    pace, grant = take(pace, Ask(KEY, 10, per_s=0.0), LOTS, now_ms + 60_000)
    assert grant.taken >= 1
