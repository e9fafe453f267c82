"""`ProviderBoard`: what the workers of a region know together of accounts, by whichever store holds it."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.provider_board import ValkeyProviderBoard
from clarion.delivery.board import ProviderBoard
from clarion.delivery.circuit import (
    CLOSED,
    FAILURES_TO_OPEN,
    FIRST_ALLOWANCE,
    PROBE_INTERVAL_MS,
    CircuitKey,
    Report,
    Verdict,
)
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import MAX_DESTINATIONS, Tally
from clarion.testing.provider_board import InMemoryProviderBoard
from clarion.testing.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

DEAD = Report(failures=FAILURES_TO_OPEN)
PATIENCE_S = 5.0


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def board(clients: ValkeyClients | None) -> ProviderBoard:
    return InMemoryProviderBoard(wall_ms) if clients is None else ValkeyProviderBoard(clients)


@pytest.fixture
def key() -> CircuitKey:
    return (os.urandom(16), "relay: {1}")


async def settle(board: ProviderBoard, key: CircuitKey, report: Report) -> Verdict:
    return (await board.settle({key: report}))[key]


async def probe(board: ProviderBoard, key: CircuitKey, version: int = 0) -> float:
    """Ask for a probe until there is one; the seconds that it took."""
    began = time.monotonic()
    await eventually(
        lambda: settle(board, key, Report(wanted=3, version=version)),
        lambda found: found.permits > 0,
        within_s=PATIENCE_S,
    )
    return time.monotonic() - began


async def test_an_account_of_which_nothing_is_known_is_well(board: ProviderBoard, key: CircuitKey):
    assert await settle(board, key, Report(healthy=3, wanted=2)) == Verdict(CLOSED)
    assert await board.settle({}) == {}


async def test_failures_of_several_workers_are_counted_together(board: ProviderBoard, key: CircuitKey):
    for failures in range(1, FAILURES_TO_OPEN):
        found = await settle(board, key, Report(failures=1))
        assert (found.circuit.state, found.circuit.failures) == ("closed", failures)
    assert (await settle(board, key, Report(failures=1))).circuit.state == "open"
    assert (await settle(board, key, Report())).circuit.reason == "failures"


async def test_a_success_of_any_worker_starts_the_count_anew(board: ProviderBoard, key: CircuitKey):
    await settle(board, key, Report(failures=4))
    await settle(board, key, Report(healthy=1))
    assert (await settle(board, key, Report(healthy=1, failures=4))).circuit.state == "closed"
    assert (await settle(board, key, Report(failures=1))).circuit.state == "open"


async def test_one_worker_of_all_gets_the_probe_of_a_second(board: ProviderBoard, key: CircuitKey):
    await settle(board, key, DEAD)
    took_s = await probe(board, key)
    assert took_s >= PROBE_INTERVAL_MS / 1000 - 0.1
    others = await asyncio.gather(*(settle(board, key, Report(wanted=9)) for _ in range(5)))
    assert sum(found.permits for found in others) == 0


async def test_after_a_probe_that_succeeds_the_slow_start_is_shared(board: ProviderBoard, key: CircuitKey):
    await settle(board, key, DEAD)
    found = await settle(board, key, Report(healthy=1, wanted=100))
    assert (found.circuit.state, found.permits) == ("half_open", FIRST_ALLOWANCE)
    assert (await settle(board, key, Report(wanted=100))).permits == 0
    await settle(board, key, Report(healthy=2))
    found = await eventually(
        lambda: settle(board, key, Report(wanted=1)), lambda found: found.permits > 0, within_s=PATIENCE_S
    )
    assert found.circuit.allowance == 2 * FIRST_ALLOWANCE
    await settle(board, key, Report(failures=2))
    assert (await settle(board, key, Report(failures=2))).circuit.state == "open"


async def test_refused_credentials_open_it_at_once_until_they_are_changed(
    board: ProviderBoard, key: CircuitKey
):
    found = await settle(board, key, Report(refused=True, version=7))
    assert (found.circuit.state, found.circuit.reason) == ("open", "credentials")
    late = await settle(board, key, Report(refused=True, version=6))
    assert late.circuit.version == 7
    assert (await settle(board, key, Report(healthy=1, version=8))).circuit == CLOSED
    assert (await settle(board, key, Report(refused=True, version=8))).circuit.state == "open"


async def test_accounts_are_apart(board: ProviderBoard, key: CircuitKey):
    other_tenant, other_name = (os.urandom(16), key[1]), (key[0], "other")
    await settle(board, key, DEAD)
    verdicts = await board.settle({other_tenant: Report(), key: Report(), other_name: Report()})
    assert [verdict.circuit.state for verdict in verdicts.values()] == ["closed", "open", "closed"]


async def test_figures_of_all_workers_come_to_one_sum(board: ProviderBoard, key: CircuitKey):
    slow = [0.0] * len(Tally().slow)
    slow[3] = 2.0
    mine = {key: {ANYWHERE: Tally(0, sent=8, failed=2, slow=slow), "DE": Tally(0, sent=4)}}
    now_ms = 12_345
    await board.add(mine, [], now_ms)
    found = (await board.add({key: {ANYWHERE: Tally(0, sent=2, lost=1)}}, [], now_ms))[key]
    everywhere = found[ANYWHERE]
    assert everywhere.sent == pytest.approx(10, rel=0.05)
    assert everywhere.failed == pytest.approx(2, rel=0.05)
    assert everywhere.lost == 1
    assert everywhere.slow[3] == pytest.approx(2, rel=0.05)
    assert abs(everywhere.at_ms - now_ms) < 5_000
    assert found["DE"].sent == pytest.approx(4, rel=0.05)
    assert (await board.add({}, [key], now_ms))[key].keys() == {ANYWHERE, "DE"}


async def test_of_an_account_without_figures_there_is_nothing(board: ProviderBoard, key: CircuitKey):
    assert await board.add({}, [key], 0) == {}
    assert await board.add({}, [], 0) == {}


async def test_an_account_has_figures_for_so_many_destinations_only(board: ProviderBoard, key: CircuitKey):
    found = {}
    for batch in range(3):
        news = {f"d{batch}-{number}.example": Tally(0, sent=5) for number in range(MAX_DESTINATIONS // 2)}
        found = (await board.add({key: {ANYWHERE: Tally(0, sent=5), **news}}, [], 0))[key]
    assert ANYWHERE in found
    assert len(found) == MAX_DESTINATIONS + 1
