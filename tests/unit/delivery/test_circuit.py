"""Breakers, told as the story of one provider's outage."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from clarion.delivery.circuit import CLOSED, FULL_PACE, Circuit, admit, admits_from, observe
from clarion.delivery.circuits import Circuits
from clarion.delivery.model import Outcome, OutcomeKind

KEY = (b"t" * 16, "relay")
OTHER = (b"u" * 16, "relay")


def outcomes(kind: OutcomeKind, count: int = 1, code: str = "") -> list[Outcome]:
    return [Outcome(b"d" * 16, kind, code=code)] * count


def opened(at_ms: int = 0) -> Circuits:
    circuits = Circuits()
    circuits.observe(KEY, outcomes("transient", 5), at_ms)
    return circuits


def admitted(circuits: Circuits, now_ms: int, wanted: int) -> int:
    return sum(circuits.admit(KEY, now_ms) for _ in range(wanted))


def test_five_failures_in_a_row_open_it_and_four_do_not():
    circuits = Circuits()
    circuits.observe(KEY, outcomes("transient", 4), 0)
    assert circuits.state_of(KEY).state == "closed"
    circuits.observe(KEY, outcomes("ambiguous"), 0)
    assert circuits.state_of(KEY).state == "open"


def test_a_success_in_between_starts_the_count_anew():
    circuits = Circuits()
    circuits.observe(KEY, outcomes("transient", 4) + outcomes("sent") + outcomes("transient", 4), 0)
    assert circuits.state_of(KEY).state == "closed"


@pytest.mark.parametrize(
    "harmless",
    [outcomes("throttled", 50), outcomes("permanent", 50), outcomes("transient", 50, code="rcpt_450")],
    ids=["throttled", "permanent", "greylisted"],
)
def test_what_says_nothing_of_the_provider_does_not_open_it(harmless: list[Outcome]):
    circuits = Circuits()
    circuits.observe(KEY, harmless, 0)
    assert circuits.state_of(KEY) == CLOSED


def test_an_open_one_lets_one_probe_through_each_second():
    circuits = opened(at_ms=0)
    probes = [ms for ms in range(0, 30_000, 10) for _ in range(3) if circuits.admit(KEY, ms)]
    assert len(probes) == 29
    assert all(later - earlier >= 1000 for earlier, later in pairwise(probes))


def test_a_failed_probe_does_not_hasten_the_next():
    circuits = opened(at_ms=0)
    assert circuits.admit(KEY, 1000)
    circuits.observe(KEY, outcomes("transient"), 1900)
    assert not circuits.admit(KEY, 2500)
    assert circuits.admits_from(KEY, 2500) == 2900
    assert circuits.admit(KEY, 2900)


def test_another_tenants_account_with_the_same_provider_goes_on():
    circuits = opened()
    assert circuits.admit(OTHER, 0)
    assert not circuits.admit(KEY, 0)


def drain(circuits: Circuits, start_ms: int, seconds: int) -> Iterator[int]:
    for second in range(seconds):
        now_ms = start_ms + 1000 * second
        count = admitted(circuits, now_ms, 10_000)
        circuits.observe(KEY, outcomes("sent", count), now_ms + 50)
        yield count


def test_after_an_outage_the_backlog_drains_at_a_pace_that_doubles_until_it_is_closed():
    circuits = opened(at_ms=0)
    assert circuits.admit(KEY, 1000)
    circuits.observe(KEY, outcomes("sent"), 1000)
    assert list(drain(circuits, 1000, 10)) == [2, 4, 8, 16, 32, 64, 128, 256, 512, 10_000]
    assert circuits.state_of(KEY) == CLOSED
    assert FULL_PACE == 512


def test_two_failures_at_the_slow_start_open_it_again():
    circuits = opened(at_ms=0)
    circuits.observe(KEY, outcomes("sent"), 1000)
    circuits.observe(KEY, outcomes("transient", 1), 1001)
    assert circuits.state_of(KEY).state == "half_open"
    circuits.observe(KEY, outcomes("transient", 1), 1002)
    assert circuits.state_of(KEY).state == "open"
    assert not circuits.admit(KEY, 1500)


def test_a_second_without_any_success_does_not_widen_the_pace():
    circuits = opened(at_ms=0)
    circuits.observe(KEY, outcomes("sent"), 0)
    assert [admitted(circuits, ms, 50) for ms in (0, 1000, 2000)] == [2, 2, 2]


def test_asking_again_is_worth_it_when_the_answer_can_change():
    half_open = observe(observe_failures(5), healthy=True, now_ms=500)
    first = admit(half_open, 500)
    assert first is not None
    assert admits_from(first, 510) == 510
    second = admit(first, 510)
    assert second is not None
    assert admits_from(second, 520) == 1500
    assert admits_from(CLOSED, 520) == 520


def observe_failures(count: int) -> Circuit:
    circuit = CLOSED
    for _ in range(count):
        circuit = observe(circuit, healthy=False, now_ms=0)
    return circuit


def test_healthy_providers_take_no_memory():
    circuits = Circuits()
    for number in range(1000):
        circuits.observe((b"t" * 16, f"p{number}"), outcomes("sent", 3), number)
    circuits.observe(KEY, outcomes("transient"), 0)
    circuits.observe(KEY, outcomes("sent"), 0)
    assert len(circuits) == 0
