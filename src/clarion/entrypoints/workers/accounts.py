"""What a delivering process does for its accounts: it keeps breakers and figures in step with the region's.

Also: tells other regions, and raises the alarm where a breaker opens. What it saw of a breaker is told at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from clarion.delivery.board import describe, keep_in_step
from clarion.delivery.circuit import CircuitKey
from clarion.entrypoints.workers.lane import run_lane

if TYPE_CHECKING:
    from clarion.bootstrap import Worker

STEP_EVERY_S: Final = 1.0
STEP_APART_S: Final = 0.05
"""News that presses is told no more often than this."""

PUBLISH_EVERY_S: Final = 10.0
PUBLISH_APART_S: Final = 1.0
"""A change of a breaker is told to other regions so soon."""

FORGET_AFTER_MS: Final = 7 * 24 * 3_600_000
"""An account of which no worker said anything for so long has no health."""

_log = structlog.get_logger("accounts")


async def run_accounts(worker: Worker, stop: asyncio.Event) -> None:
    """Keep in step until `stop` is set."""
    news = _News(asyncio.Event(), set())
    await asyncio.gather(
        run_lane("accounts-board", partial(_step, worker, news, stop), stop),
        run_lane("accounts-health", partial(_publish, worker, news, stop), stop),
    )


class _News(msgspec.Struct, frozen=True):
    """Accounts whose breakers changed, and of which the other regions were not told yet; `there`: there are some."""

    there: asyncio.Event
    accounts: set[CircuitKey]


async def _step(worker: Worker, news: _News, stop: asyncio.Event) -> float:
    router = worker.dispatch.router
    try:
        await keep_in_step(worker.board, router, worker.clock.now_ms())
    finally:
        router.refresh(worker.clock.now_ms())
        news.accounts.update(_alarm(worker))
        if news.accounts:
            news.there.set()
    await _any_of(worker.dispatch.circuits.pressing, stop, within_s=STEP_EVERY_S)
    return STEP_APART_S


def _alarm(worker: Worker) -> set[CircuitKey]:
    """Log and count the breakers that changed; whose they are."""
    circuits, breakers = worker.dispatch.circuits, worker.metrics.breakers
    changes = circuits.changes()
    for change in changes:
        tenant_id, provider = change.key
        about = {"tenant_id": tenant_id.hex(), "provider": provider, "reason": change.reason}
        breakers.changes.labels(change.state, change.reason).inc()
        if change.state != "open":
            _log.info("breaker_" + change.state, **about)
        elif change.reason == "credentials":
            _log.error("credentials_refused", **about)
        else:
            _log.warning("breaker_open", **about)
    if changes:
        states = Counter(
            (circuits.state_of(key).state, circuits.state_of(key).reason) for key in circuits.not_closed()
        )
        for state, reason in (("open", "failures"), ("open", "credentials"), ("half_open", "")):
            breakers.now.labels(state, reason).set(states[state, reason])
    return {change.key for change in changes}


async def _publish(worker: Worker, news: _News, stop: asyncio.Event) -> float:
    now_ms, region = worker.clock.now_ms(), worker.settings.region
    news.there.clear()
    told = set(news.accounts)
    await worker.health.publish(describe(worker.dispatch.router, region, now_ms, told))
    news.accounts.difference_update(told)
    await worker.health.drop_older(region, now_ms - FORGET_AFTER_MS)
    await _any_of(news.there, stop, within_s=PUBLISH_EVERY_S)
    return PUBLISH_APART_S


async def _any_of(*events: asyncio.Event, within_s: float) -> None:
    """Return when one of the events is set, after `within_s` seconds at the latest."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
