"""Proving features to a tenant, for the processes that do it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.adapters.postgres.ml_experiments import PostgresExperiments
from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.adapters.postgres.ml_settings import SYSTEM, PostgresMlSettings
from clarion.compliance.audit import Act, recorded
from clarion.intelligence.serving.assignment import assign, shares_of
from clarion.intelligence.serving.holdout import FEATURES
from clarion.intelligence.training.ab import ExperimentResult, Observed, analyse
from clarion.intelligence.training.policies import value_policies
from clarion.intelligence.training.proof import (
    ATTRIBUTION_MS,
    WAIT_MS,
    WINDOW_MS,
    Outcomes,
    Proof,
    prove,
    rates_before,
    return_to_baseline,
    window_of,
)
from clarion.kernel.errors import Conflict, Transient
from clarion.kernel.local_time import DAY_MS
from clarion.tenancy.model import Experiment

if TYPE_CHECKING:
    from clarion.bootstrap import Region
    from clarion.tenancy.model import MlSettings

LONGEST_MS: Final = 180 * DAY_MS
"""What is sent later than this after an experiment's start is not looked at: it is read as a whole each day."""

ATTEMPTS: Final = 5
"""At settings that somebody else writes meanwhile."""

_log = structlog.get_logger("trainer")


async def prove_tenant(region: Region, tenant_id: bytes, now_ms: int) -> list[Proof]:
    """Measure what features brought a tenant until an instant (UTC ms), keep it, and switch off what surely harms.

    Beside it, what other policies would bring, and what the tenant's experiments show. Settings are written before the
    proof is kept, so that dying in between leaves a feature off. Raises Transient.
    """
    proofs = PostgresProofs(region.pools)
    window = window_of(now_ms, await proofs.since(tenant_id))
    found = await _judge(region, tenant_id, await proofs.outcomes(tenant_id, *window), window)
    await proofs.keep(tenant_id, found)
    decisions = await proofs.decisions(tenant_id, *window)
    await proofs.keep_policies(tenant_id, window, await asyncio.to_thread(value_policies, decisions))
    await measure_experiments(region, tenant_id, now_ms)
    return found


async def measure_experiments(region: Region, tenant_id: bytes, now_ms: int) -> list[ExperimentResult]:
    """Measure the tenant's experiments whose result may change yet, as of an instant (UTC ms). Raises Transient."""
    store, proofs = PostgresExperiments(region.pools), PostgresProofs(region.pools)
    found: list[ExperimentResult] = []
    for record in await store.unsettled(tenant_id):
        # By when it was decided: by when it was sent, the arm that waits longer would miss the latest of its messages.
        closed_ms = now_ms - WAIT_MS - ATTRIBUTION_MS
        closed_ms = min(closed_ms, record.started_ms + LONGEST_MS)
        end_ms = closed_ms if record.stopped_ms is None else min(closed_ms, record.stopped_ms)
        answers = await proofs.answers(tenant_id, record.started_ms, end_ms)
        before = await proofs.answers(tenant_id, record.started_ms - WINDOW_MS, record.started_ms)
        arms = record.plan.arms
        rates = rates_before(answers.users, np.stack([before.users, before.sent, before.answered], axis=1))
        arm = assign(Experiment(record.experiment_id, arms), answers.users)
        names, shares = [one.name for one in arms], shares_of(arms)
        result = analyse(Observed(arm, answers.rate, rates), names, shares, record.plan.least_effect)
        await store.keep(tenant_id, record.experiment_id, result, now_ms)
        found.append(result)
    return found


async def _judge(
    region: Region, tenant_id: bytes, outcomes: Outcomes, window: tuple[int, int]
) -> list[Proof]:
    """A proof of each feature by the settings that hold, which are changed where one harms.

    What a person chooses meanwhile is never written over: it is judged by what she chose. Raises Transient.
    """
    store = PostgresMlSettings(region.pools)
    for _ in range(ATTEMPTS):
        settings, version = await store.current(tenant_id)
        found = prove(outcomes, FEATURES, settings, window)
        wanted = return_to_baseline(settings, found)
        if wanted == settings:
            return found
        try:
            await _return(region, tenant_id, (settings, wanted, version), found)
        except Conflict:
            continue
        return found
    raise Transient("the settings were written anew each time that they were to be changed")


async def _return(
    region: Region, tenant_id: bytes, change: tuple[MlSettings, MlSettings, int], found: list[Proof]
) -> None:
    """Write settings without what harms, as an act of the audit log. Raises Conflict where they are others by now."""
    before, after, version = change
    harmful = [proof for proof in found if proof.returned]
    act = Act(
        actor=SYSTEM,
        operation="return_to_baseline",
        target="ml/settings",
        reason=", ".join(f"{proof.feature} harms" for proof in harmful),
        facts={
            "before": {"version": version, "enabled": _switches(before)},
            "lift": {
                proof.feature: [
                    round(value, 6) for value in (proof.lift.difference, proof.lift.low, proof.lift.high)
                ]
                for proof in harmful
            },
        },
    )
    log = PostgresAuditLog(region.pools)
    async with recorded(log, tenant_id, act, _tell_lost) as ending:
        written = await PostgresMlSettings(region.pools).put(tenant_id, after, SYSTEM, version)
        ending.facts["after"] = {"version": written, "enabled": _switches(after)}
    region.configs.forget(tenant_id)
    for proof in harmful:
        region.metrics.learning.returns.labels(proof.feature).inc()


def _switches(settings: MlSettings) -> dict[str, bool]:
    return {"send_time": settings.enabled.send_time, "channel": settings.enabled.channel}


def _tell_lost(error: Exception) -> None:
    _log.error("audit_end_lost", operation="return_to_baseline", exc_info=error)
