"""What a worker does about money each second: write down what was spent, tell floods, and alarm about budgets."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.delivery.budgets import ledger_of, state_of
from clarion.entrypoints.workers.lane import run_lane
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from clarion.bootstrap import Worker
    from clarion.tenancy.config import TenantConfig

WRITE_EVERY_S: Final = 1.0
WATCH_EVERY_S: Final = 2.0

_log = structlog.get_logger("spending")


async def run_spending(worker: Worker, stop: asyncio.Event) -> None:
    """Until `stop` is set; what is not written by then is written last."""
    await asyncio.gather(
        run_lane("spending-write", partial(_write, worker), stop),
        run_lane("spending-blocks", partial(_tell_blocks, worker), stop),
        run_lane("spending-budgets", partial(_watch, worker), stop),
    )


async def write_costs(worker: Worker) -> None:
    """Write down what this process spent since the last time. Raises Transient: then it is kept for the next."""
    meter = worker.dispatch.till.meter
    lines = meter.drain()
    try:
        sums = await worker.region.costs.add(lines)
    except BaseException:
        for line in lines:
            meter.add(line)
        raise
    if sums:
        await worker.region.live_costs.show(sums)


async def _write(worker: Worker) -> float:
    await write_costs(worker)
    return WRITE_EVERY_S


async def _tell_blocks(worker: Worker) -> float:
    blocks, now_ms = worker.dispatch.till.blocks, worker.clock.now_ms()
    counts = blocks.drain()
    try:
        stopped = await worker.region.blocks.tell(counts, now_ms)
    except Transient:
        blocks.restore(counts)
        raise
    blocks.learn(stopped, now_ms)
    for one in stopped:
        if one.is_new:
            worker.metrics.spending.blocks.inc()
            _log.error("number_block_stopped", tenant_id=one.block.tenant_id.hex(), until_ms=one.until_ms)
    return WRITE_EVERY_S


async def _watch(worker: Worker) -> float:
    for config in list(worker.dispatch.till.budgeted.values()):
        await watch_budgets(worker, config)
    return WATCH_EVERY_S


async def watch_budgets(worker: Worker, config: TenantConfig) -> None:
    """Let no budget stand below what was written down, and alarm once about each that is nearly or wholly spent."""
    budgets = config.spending.budgets
    ledger = ledger_of(budgets, config.tenant, worker.clock.now_ms())
    written = await worker.region.costs.spent([account.spent_on for account in ledger.accounts])
    store = worker.dispatch.till.budgets
    await store.raise_to(ledger.accounts, written)
    for budget, account, spent in zip(
        budgets, ledger.accounts, await store.spent(ledger.accounts), strict=True
    ):
        state = state_of(budget, spent or 0)
        if state != "ok" and await store.first_to_alarm(account, budget.limit_micros, state):
            worker.metrics.spending.alarms.labels(state).inc()
            _log.error(
                "budget_alarm",
                tenant_id=config.tenant.tenant_id.hex(),
                budget=budget.name,
                state=state,
                spent_micros=spent,
                limit_micros=budget.limit_micros,
            )
