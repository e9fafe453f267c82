"""Workers that share a board: breakers open for all, probes are few, and each goes on alone while the board is away."""

from __future__ import annotations

import pytest

from clarion.delivery.board import describe, keep_in_step
from clarion.delivery.circuit import CREDENTIALS_INTERVAL_MS
from clarion.delivery.circuits import ALONE_AFTER_MS, IN_USE_MS, Change, Circuits
from clarion.delivery.figures import Figures
from clarion.delivery.model import AUTH_CODE, Outcome
from clarion.delivery.prices import unit_price
from clarion.delivery.router import Router
from clarion.kernel.errors import Transient
from clarion.testing.clock import ManualClock
from clarion.testing.provider_board import InMemoryProviderBoard

KEY = (b"t" * 16, "relay")
SENT = Outcome(b"d" * 16, "sent")
FAILED = Outcome(b"d" * 16, "transient")
REFUSED = Outcome(b"d" * 16, "transient", code=AUTH_CODE)


class Region:
    """Some workers with one board."""

    def __init__(self, workers: int) -> None:
        self.clock = ManualClock()
        self.board = InMemoryProviderBoard(self.clock.now_ms)
        self.routers = [Router("us-east-1", Figures(), Circuits(), unit_price) for _ in range(workers)]
        for router in self.routers:
            router.circuits.use([(KEY, 1)], self.clock.now_ms())

    @property
    def workers(self) -> list[Circuits]:
        return [router.circuits for router in self.routers]

    async def step(self, seconds: float = 1.0) -> None:
        """All of them tell and learn, one after the other, and then time passes."""
        for router in self.routers:
            router.circuits.use([(KEY, 1)], self.clock.now_ms())
            await keep_in_step(self.board, router, self.clock.now_ms())
        self.clock.advance(seconds)

    def knock(self, times: int = 10) -> int:
        """How many of so many sends by each worker are let through now."""
        now_ms = self.clock.now_ms()
        return sum(worker.admit(KEY, now_ms) for worker in self.workers for _ in range(times))

    def see(self, worker: int, *outcomes: Outcome) -> None:
        self.workers[worker].observe(KEY, outcomes, self.clock.now_ms())

    def states(self) -> set[str]:
        return {worker.state_of(KEY).state for worker in self.workers}


async def test_what_one_worker_finds_out_all_know_a_second_later():
    region = Region(3)
    await region.step()
    region.see(0, *[FAILED] * 5)
    assert region.workers[0].state_of(KEY).state == "open", "here at once"
    assert region.workers[0].pressing.is_set(), "and told without waiting for the second to end"
    await region.step()
    assert region.states() == {"open"}
    assert not region.workers[0].pressing.is_set()
    assert region.workers[1].changes() == [Change(KEY, "open", "failures")]
    assert region.workers[1].changes() == []


async def test_two_failures_here_and_three_there_are_five():
    region = Region(2)
    region.see(0, FAILED, FAILED)
    region.see(1, FAILED, FAILED, FAILED)
    await region.step()
    await region.step()
    assert region.states() == {"open"}


async def test_of_all_workers_together_one_probe_a_second_leaves():
    region = Region(4)
    region.see(0, *[FAILED] * 5)
    await region.step()
    probes = 0
    for _ in range(20):
        probes += region.knock()
        await region.step()
    assert 15 <= probes <= 20


async def test_a_good_probe_is_followed_by_a_slow_start_that_they_share():
    region = Region(3)
    region.see(0, *[FAILED] * 5)
    await region.step()
    while not region.knock():
        await region.step()
    region.see(0, SENT)
    await region.step()
    assert region.states() == {"half_open"}
    paces: list[int] = []
    while region.states() == {"half_open"} and len(paces) < 30:
        region.knock(600)
        await region.step(0.5)
        through = region.knock(600)
        region.see(len(paces) % 3, *[SENT] * through)
        paces.append(through)
        await region.step(0.5)
    assert region.states() == {"closed"}
    assert paces[:8] == [2, 4, 8, 16, 32, 64, 128, 256]
    assert region.knock(1000) == 3000


async def test_refused_credentials_stop_the_account_until_they_are_changed():
    region = Region(2)
    await region.step()
    region.see(0, REFUSED)
    await region.step()
    assert [worker.state_of(KEY).reason for worker in region.workers] == ["credentials"] * 2
    probes = 0
    for _ in range(CREDENTIALS_INTERVAL_MS // 1000):
        probes += region.knock()
        await region.step()
    assert probes <= 1, "a vendor that locks accounts is not knocked at"
    now_ms = region.clock.now_ms()
    region.workers[1].use([(KEY, 2)], now_ms)
    assert region.workers[1].admit(KEY, now_ms), "at once where it is known"
    await region.step(0)
    await region.step(0)
    assert region.states() == {"closed"}


async def test_while_the_board_is_away_each_goes_on_alone_and_loses_no_news():
    region = Region(2)
    await region.step()
    region.board.away = True
    region.see(0, *[FAILED] * 5)
    with pytest.raises(Transient):
        await region.step()
    assert region.workers[0].state_of(KEY).state == "open"
    region.clock.advance(ALONE_AFTER_MS / 1000)
    assert region.workers[0].admit(KEY, region.clock.now_ms()), "its own probe"
    assert not region.workers[0].admit(KEY, region.clock.now_ms())
    region.board.away = False
    await region.step()
    await region.step()
    assert region.states() == {"open"}


async def test_figures_of_all_are_known_to_all():
    region = Region(2)
    region.routers[0].figures.observe(KEY, [SENT] * 90 + [FAILED] * 10, ["DE"] * 100, 40)
    await region.step(0)
    await region.step(0)
    now_ms = region.clock.now_ms()
    mine, theirs = (router.figures.estimate(KEY, "DE", now_ms) for router in region.routers)
    assert mine == theirs
    assert theirs.weight == pytest.approx(100)
    assert theirs.error_rate == pytest.approx(0.1, abs=0.02)


async def test_an_account_out_of_use_is_let_go():
    region = Region(1)
    region.routers[0].figures.observe(KEY, [SENT] * 9, (), 40)
    await keep_in_step(region.board, region.routers[0], region.clock.now_ms())
    assert region.workers[0].in_use() == [KEY]
    region.clock.advance(IN_USE_MS / 1000 + 1)
    await keep_in_step(region.board, region.routers[0], region.clock.now_ms())
    assert region.workers[0].in_use() == []
    assert region.routers[0].figures.tally(KEY, region.clock.now_ms()).sent == 0


async def test_the_health_of_accounts_as_other_regions_are_told():
    region = Region(1)
    region.routers[0].figures.observe(KEY, [SENT] * 95 + [FAILED] * 5, (), 40)
    region.see(0, *[FAILED] * 5)
    await region.step(0)
    region.workers[0].use([((b"t" * 16, "idle"), 1)], region.clock.now_ms())
    (found,) = describe(region.routers[0], "us-east-1", region.clock.now_ms())
    assert len(describe(region.routers[0], "us-east-1", 0, {(b"t" * 16, "idle")})) == 2
    assert (found.tenant_id, found.provider, found.region) == (*KEY, "us-east-1")
    assert (found.state, found.reason, found.since_ms) == ("open", "failures", region.clock.now_ms())
    assert 0.03 < found.error_rate < 0.06
    assert found.p99_ms == pytest.approx(40, abs=2)
    assert 20 < found.attempts_per_min < 70, "these 100 might have come in the last minutes"
