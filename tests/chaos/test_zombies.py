"""A worker that was stopped for longer than its lease, and wakes up in the belief that it still holds it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from clarion.testing.smtp import Fault, SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import Measuring
from tests.live.fixtures import LEASE_S, Live
from tests.live.support import SENDING, Person, count, ledger_holds, scrape
from tests.live.workers import second_worker

pytestmark = pytest.mark.chaos

FENCED = "clarion_fenced_total"


async def test_a_zombies_late_word_is_refused(
    live: Live, sender: Person, sink: SmtpSink, measure: Measuring, tmp_path: Path
):
    n = 20
    users = await sender.users(n)
    fenced_before = (await scrape(live.metrics_port))[FENCED]
    await sink.script(Fault("end", "delay", delay_ms=500, accepted=True, times=n))
    ids = await sender.campaign(users)
    await sink.wait_for(n)
    measured = measure(f"worker stopped for three leases of {LEASE_S:.0f} s", n)
    worker = live.instance.signal("worker", signal.SIGSTOP)
    try:
        measured.bound = await count(live.instance, SENDING)
        async with second_worker(live, tmp_path):
            await sender.all_over(n)
            measured.recovered()
            os.kill(worker, signal.SIGCONT)

            async def fenced() -> float:
                return (await scrape(live.metrics_port))[FENCED] - fenced_before

            refused = await eventually(fenced)
    finally:
        os.kill(worker, signal.SIGCONT)

    assert refused == measured.bound == n
    for ident in ids:
        outcomes = [attempt["outcome"] for attempt in await sender.attempts(ident)]
        assert outcomes == ["sent"], "one end, told once"
    assert await ledger_holds(live.instance.data)
    measured.settle(await sink.report())
