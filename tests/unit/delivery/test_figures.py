"""Live figures: what they tell of an account, how they fade, and what they lean on while there are few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import (
    HALF_LIFE_MS,
    MAX_DESTINATIONS,
    UNKNOWN,
    Figures,
    Tally,
    add,
    decay,
)
from clarion.delivery.model import Outcome, OutcomeKind

KEY = (b"t" * 16, "relay")
NOW = 1_800_000_000_000.0


def outcomes(kind: OutcomeKind, count: int, code: str = "", took_ms: float = 0.0) -> list[Outcome]:
    return [Outcome(b"d" * 16, kind, code=code, took_ms=took_ms)] * count


def seen(*calls: list[Outcome], destination: str = ANYWHERE, took_ms: float = 50) -> Figures:
    figures = Figures()
    for call in calls:
        figures.observe(KEY, call, [destination] * len(call), took_ms)
    figures.take(NOW)
    return figures


def test_nothing_known_is_taken_for_well():
    assert Figures().estimate(KEY, "DE", NOW) == UNKNOWN


def test_rates_and_the_slowest_hundredth():
    fast, slow = outcomes("sent", 970, took_ms=30), outcomes("sent", 20, took_ms=900)
    found = seen(fast, slow, outcomes("ambiguous", 10, took_ms=900)).estimate(KEY, ANYWHERE, NOW)
    assert found.error_rate == pytest.approx(0.01, abs=0.002)
    assert 800 < found.p99_ms <= 905
    assert found.weight == 1000


def test_throttling_and_refusals_of_addressees_are_no_errors():
    found = seen(
        outcomes("throttled", 50), outcomes("permanent", 50), outcomes("transient", 50, "rcpt_450")
    ).estimate(KEY, ANYWHERE, NOW)
    assert (found.error_rate, found.p99_ms) == (0, 0)


def test_a_destination_with_few_messages_leans_on_its_account():
    figures = seen(outcomes("transient", 500))
    assert figures.estimate(KEY, "DE", NOW).error_rate > 0.9
    figures.observe(KEY, outcomes("sent", 1000), ["DE"] * 1000, 20)
    figures.take(NOW)
    assert figures.estimate(KEY, "DE", NOW).error_rate < 0.01
    assert figures.estimate(KEY, "FR", NOW).error_rate > 0.3


def test_receipts_lower_the_rate_of_delivery_and_not_that_of_errors():
    figures = seen(outcomes("sent", 1000))
    figures.observe_receipts(KEY, "DE", delivered=700, lost=300)
    figures.take(NOW)
    assert figures.estimate(KEY, "DE", NOW).delivery_rate == pytest.approx(0.7, abs=0.02)
    found = figures.estimate(KEY, ANYWHERE, NOW)
    assert found.delivery_rate == pytest.approx(0.7, abs=0.02)
    assert found.error_rate == 0


def test_what_is_not_asked_any_more_is_forgotten():
    figures = seen(outcomes("ambiguous", 200, took_ms=20_000))
    assert figures.estimate(KEY, ANYWHERE, NOW).p99_ms > 2000
    later = figures.estimate(KEY, ANYWHERE, NOW + 12 * HALF_LIFE_MS)
    assert later.error_rate < 0.01
    assert later.p99_ms < 500


def test_a_thousand_destinations_do_not_take_a_thousand_places():
    figures = Figures()
    for number in range(1000):
        figures.observe(KEY, outcomes("sent", 1), [f"d{number}.example"], 20)
    told = figures.take(NOW)[KEY]
    assert len(told) == MAX_DESTINATIONS + 1
    assert told[ANYWHERE].sent == 1000


def test_taken_once_and_known_here_at_once():
    figures = seen(outcomes("sent", 5))
    assert figures.take(NOW) == {}
    assert figures.tally(KEY, NOW).sent == 5
    figures.learn({KEY: {ANYWHERE: Tally(NOW, sent=105)}})
    assert figures.tally(KEY, NOW).sent == 105
    figures.keep([])
    assert figures.tally(KEY, NOW).sent == 0


counts = st.floats(0, 1e6)
tallies = st.builds(Tally, st.floats(NOW, NOW + 1e6), counts, counts, counts, counts, counts)


@given(tallies, tallies, st.floats(0, 1e7))
def test_adding_and_fading_can_be_done_in_either_order(one: Tally, other: Tally, passed_ms: float):
    later = max(one.at_ms, other.at_ms) + passed_ms
    together = decay(add(one, other), later)
    apart = add(decay(one, later), decay(other, later))
    assert together.sent == pytest.approx(apart.sent)
    assert together.lost == pytest.approx(apart.lost)
    assert add(one, other) == add(other, one)
