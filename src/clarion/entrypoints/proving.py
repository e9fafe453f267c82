"""Proving features to a tenant, for the processes that do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.adapters.postgres.ml_settings import PostgresMlSettings
from clarion.intelligence.serving.holdout import FEATURES
from clarion.intelligence.training.proof import Proof, prove, return_to_baseline, window_of

if TYPE_CHECKING:
    from clarion.bootstrap import Region


async def prove_tenant(region: Region, tenant_id: bytes, now_ms: int) -> list[Proof]:
    """Measure what features brought a tenant until an instant (UTC ms), keep it, and switch off what surely harms.

    Settings are written before the proof is kept, so that dying in between leaves a feature off. Raises Transient.
    """
    proofs = PostgresProofs(region.pools)
    window = window_of(now_ms, await proofs.since(tenant_id))
    outcomes = await proofs.outcomes(tenant_id, *window)
    # What the tenant chose a second ago must not be written over by what is remembered of it.
    region.configs.forget(tenant_id)
    settings = (await region.configs.get(tenant_id)).tenant.ml
    found = prove(outcomes, FEATURES, settings, window)
    wanted = return_to_baseline(settings, found)
    if wanted != settings:
        await PostgresMlSettings(region.pools).put(tenant_id, wanted)
        region.configs.forget(tenant_id)
    await proofs.keep(tenant_id, found)
    return found
