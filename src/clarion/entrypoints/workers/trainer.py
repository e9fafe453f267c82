"""The trainer role: models are fitted each day, sooner where users have changed, and have to prove what they bring."""

from __future__ import annotations

import asyncio
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog

from clarion.adapters.postgres.ml_models import PostgresWatches
from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.entrypoints.proving import prove_tenant
from clarion.entrypoints.training import grows_today, read_history
from clarion.entrypoints.training_turns import LEASE_MS, train_in_turn, turns_of
from clarion.entrypoints.workers.lane import run_lane
from clarion.intelligence.training.pipeline import DRIFT_DAYS, find_drift
from clarion.kernel.errors import Transient
from clarion.kernel.local_time import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarion.bootstrap import Worker
    from clarion.intelligence.training.ports import Schedule

ROLE: Final = "the trainer role"
TRAIN_EVERY_MS: Final = DAY_MS
"""A model is at most this old, and a little; two days where a night failed. From seven on it is not used."""

WATCH_EVERY_MS: Final = 6 * HOUR_MS
PROVE_EVERY_MS: Final = DAY_MS
PROVE_LEASE_MS: Final = 30 * MINUTE_MS
WATCH_LEASE_MS: Final = 10 * MINUTE_MS
"""Longer than any look takes. A process that dies over one, or whose look fails, leaves the tenant to others then."""

PROMISED: Final = 0.70
"""Share of what comes that a set of hours is to hold."""

LOOK_EVERY_S: Final = 10.0
PROVE_LOOK_EVERY_S: Final = 600.0

_log = structlog.get_logger("trainer")


async def run_trainer(worker: Worker, stop: asyncio.Event) -> None:
    """Train and watch until `stop` is set. Several workers share the tenants."""
    await asyncio.gather(
        run_lane("trainer-train", partial(train_due, worker, stop), stop),
        run_lane("trainer-watch", partial(watch_drift, worker, stop), stop),
        run_lane("trainer-prove", partial(prove_due, worker, stop), stop),
    )


async def train_due(worker: Worker, stop: asyncio.Event) -> float:
    """Train every tenant that is due, one after another; the seconds to the next look."""
    learning, tenant_ids = worker.metrics.learning, await _tenants(worker)
    learning.keep_tenants(set(tenant_ids))
    oldest_ms = worker.region.models.oldest_ms(tenant_ids)
    learning.oldest_model.set((worker.clock.now_ms() - oldest_ms) / 1000 if oldest_ms else 0)
    await train_those_due(worker, tenant_ids, stop)
    return LOOK_EVERY_S


async def train_those_due(worker: Worker, tenant_ids: Sequence[bytes], stop: asyncio.Event) -> None:
    """Train those of these tenants that are due. Raises Transient."""
    schedule = turns_of(worker.region, ROLE)
    before_ms = worker.clock.now_ms() - TRAIN_EVERY_MS
    for tenant_id in await schedule.due(tenant_ids, before_ms):
        if stop.is_set():
            break
        if await schedule.take(tenant_id, before_ms, LEASE_MS):
            await _train(worker, schedule, tenant_id)


async def _train(worker: Worker, schedule: Schedule, tenant_id: bytes) -> None:
    """Train one tenant that is taken. Raises Transient."""
    learning = worker.metrics.learning
    began_s = time.monotonic()
    try:
        may_grow = grows_today(tenant_id, worker.clock.now_ms())
        outcome = await train_in_turn(worker.region, schedule, tenant_id, may_grow=may_grow)
    except Transient:
        learning.trainings.labels("failed").inc()
        raise
    except Exception as error:  # noqa: BLE001  one tenant's odd history must not keep the others' models old
        learning.trainings.labels("failed").inc()
        _log.error("training_failed", tenant_id=tenant_id.hex(), exc_info=error)
        return
    model = outcome.model
    status = model.status if model else "too_little"
    learning.trainings.labels(status).inc()
    learning.training_seconds.observe(time.monotonic() - began_s)
    if model is not None and model.metrics.coverage is not None:
        learning.saw_coverage(tenant_id, abs(model.metrics.coverage - PROMISED))
    _log.info(
        "trained",
        tenant_id=tenant_id.hex(),
        model=model.name if model else "",
        status=status,
        reason=outcome.reason,
        signs=outcome.signs,
    )


async def watch_drift(worker: Worker, stop: asyncio.Event) -> float:
    """Look for drift at every tenant whose turn it is, and have its model fitted where there is; as `train_due`.

    A turn is over once somebody has looked: who dies before, or fails, leaves it to others ten minutes later.
    """
    watch = PostgresWatches(worker.region.pools)
    for tenant_id in await watch.due(await _tenants(worker), WATCH_EVERY_MS):
        if stop.is_set():
            break
        if not await watch.take(tenant_id, WATCH_EVERY_MS, WATCH_LEASE_MS):
            continue
        try:
            await _look_for_drift(worker, tenant_id)
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001  one tenant's odd history must not keep the others from being looked at
            _log.error("watch_failed", tenant_id=tenant_id.hex(), exc_info=error)
            continue
        await watch.end(tenant_id)
    return LOOK_EVERY_S


async def _look_for_drift(worker: Worker, tenant_id: bytes) -> None:
    learning, now_ms = worker.metrics.learning, worker.clock.now_ms()
    signs, _ = await read_history(worker.region, tenant_id, now_ms, DRIFT_DAYS)
    found = await asyncio.to_thread(find_drift, signs, now_ms)
    for name, stability in found.items():
        if math.isfinite(stability.psi):
            learning.saw_psi(tenant_id, name, stability.psi)
    drifted = [name for name, stability in found.items() if stability.alarm]
    for name in drifted:
        learning.drift.labels(name).inc()
        _log.warning("drift", tenant_id=tenant_id.hex(), of=name, psi=round(found[name].psi, 3))
    if drifted:
        await turns_of(worker.region, ROLE).ask(tenant_id)


async def prove_due(worker: Worker, stop: asyncio.Event) -> float:
    """Measure what features bring to every tenant whose turn it is, and switch off what harms; as `train_due`."""
    await prove_those_due(worker, await _tenants(worker), stop)
    return PROVE_LOOK_EVERY_S


async def prove_those_due(worker: Worker, tenant_ids: Sequence[bytes], stop: asyncio.Event) -> None:
    """Prove features to those of these tenants that are due. Raises Transient.

    A tenant over whom a process died, or at whom something odd was found, is due again when its lease ends.
    """
    proofs = PostgresProofs(worker.region.pools)
    for tenant_id in await proofs.due(tenant_ids, PROVE_EVERY_MS):
        if stop.is_set():
            break
        if not await proofs.take(tenant_id, PROVE_EVERY_MS, PROVE_LEASE_MS):
            continue
        try:
            await _prove(worker, tenant_id)
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001  one tenant's odd history must not keep proofs from the others
            _log.error("proof_failed", tenant_id=tenant_id.hex(), exc_info=error)
            continue
        await proofs.end(tenant_id)


async def _prove(worker: Worker, tenant_id: bytes) -> None:
    for proof in await prove_tenant(worker.region, tenant_id, worker.clock.now_ms()):
        if proof.returned:
            _log.warning(
                "returned_to_baseline",
                tenant_id=tenant_id.hex(),
                feature=proof.feature,
                difference=round(proof.lift.difference, 4),
            )


async def _tenants(worker: Worker) -> list[bytes]:
    entries = await worker.region.tenants.list_tenants(worker.settings.region)
    return [entry.tenant_id for entry in entries]
