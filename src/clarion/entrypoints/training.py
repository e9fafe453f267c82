"""The parts of training, put together for the processes and commands that use them."""

from __future__ import annotations

import asyncio
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from clarion.adapters.models.gbdt import LightGbm
from clarion.adapters.models.growing import SeparateGrower
from clarion.adapters.postgres.ml_models import KEPT, PostgresModels
from clarion.entrypoints.featuring import history_of
from clarion.intelligence.features.signs import Signs, joined
from clarion.intelligence.models import TenantModel
from clarion.intelligence.models.registered import Registered
from clarion.intelligence.training.challenger import (
    ADDED,
    Challenge,
    Reviewed,
    challenge,
    joined_tables,
    review_trees,
    table_of,
)
from clarion.intelligence.training.cuts import cut_and_hold
from clarion.intelligence.training.discovery import Importance, discover
from clarion.intelligence.training.pipeline import LEAST_SPAN_MS, MOST_SIGNS, fit_and_judge, thin_out
from clarion.kernel.errors import ClarionError
from clarion.kernel.local_time import DAY_MS

if TYPE_CHECKING:
    from clarion.bootstrap import Region

WINDOW_DAYS: Final = 400
"""How far back history is read: twice the slow half-life and a bit leave a third of it."""


_WEEK_D: Final = 7


class Outcome(msgspec.Struct, frozen=True):
    """What came of a training. `model`: None where there was too little to fit; `reason` says it in words."""

    model: Registered | None
    reason: str
    signs: int
    seconds: float


async def train_tenant(region: Region, tenant_id: bytes, *, may_grow: bool = False) -> Outcome:
    """Fit a tenant's model on its history, judge it, and let it serve or not. Raises Transient.

    Its trees, if it has any, are judged anew; with `may_grow` new ones are grown where there are none, or only old
    ones. Reading is done in portions, fitting in a thread of its own: the process goes on with what else it does.
    """
    began = time.monotonic()
    registry = PostgresModels(region.pools)
    now_ms = region.clock.now_ms()
    signs, share = await read_history(region, tenant_id, now_ms)
    incumbent = region.models.current(tenant_id)
    chosen = any(
        model.held for model in await registry.models(tenant_id, KEPT) if model.name == incumbent.name
    )
    fitted = await asyncio.to_thread(fit_and_judge, signs, incumbent, now_ms, chosen=chosen)
    seconds = time.monotonic() - began
    if fitted is None:
        return Outcome(None, "too little history to fit anything: the defaults serve", len(signs), seconds)
    review = await _review(signs, fitted.model, now_ms, may_grow=may_grow)
    model = msgspec.structs.replace(fitted.model, trees=review.trees)
    figures = fitted.metrics.figures | ({ADDED: review.figure} if review.figure else {})
    seconds = time.monotonic() - began
    metrics = msgspec.structs.replace(fitted.metrics, figures=figures, seconds=round(seconds, 2))
    kept = await registry.add(tenant_id, model, incumbent.name, metrics)
    said = fitted.reason if share == 1 else f"{fitted.reason} (of one user in {share})"
    reason = f"{said}; {review.reason}" if review.reason else said
    if fitted.choice == "promote":
        await registry.promote(tenant_id, kept.name, reason)
    else:
        await registry.refuse(tenant_id, kept.name, reason)
    status = "live" if fitted.choice == "promote" else "refused"
    return Outcome(msgspec.structs.replace(kept, status=status, reason=reason), reason, len(signs), seconds)


async def _review(signs: Signs, model: TenantModel, now_ms: int, *, may_grow: bool) -> Reviewed:
    """What becomes of the model's trees. Without the libraries, or the memory to grow any, there are none."""
    try:
        return await asyncio.to_thread(
            review_trees, signs, model, SeparateGrower(), now_ms, may_grow=may_grow
        )
    except ClarionError as error:
        return Reviewed(None, f"no trees: {error.detail}")


def grows_today(tenant_id: bytes, now_ms: int) -> bool:
    """Whether a tenant's nightly training may grow trees: once a week, not all tenants on one day."""
    return (now_ms // DAY_MS + tenant_id[-1]) % _WEEK_D == 0 and find_spec("lightgbm") is not None


async def challenge_tenant(region: Region, tenant_id: bytes) -> tuple[Challenge, list[Importance]]:
    """Grow trees on a tenant's sends, judge them against the model that serves, and say what decides in them.

    It changes nothing. Raises Transient, and Permanent without `clarion[ml]`.
    """
    now_ms = region.clock.now_ms()
    signs, _ = await read_history(region, tenant_id, now_ms)
    return await asyncio.to_thread(_challenge, signs, region.models.current(tenant_id), now_ms)


def _challenge(signs: Signs, incumbent: TenantModel, now_ms: int) -> tuple[Challenge, list[Importance]]:
    if not len(signs) or now_ms - int(signs.at_ms[0]) < LEAST_SPAN_MS:
        return Challenge(is_better=False, reason="too little history to challenge anything"), []
    fitting, held = cut_and_hold(signs, int(signs.at_ms[0]), now_ms)
    grower = LightGbm()
    found = challenge(fitting, held, incumbent, grower)
    if not found.artefact:
        return found, []
    seen, later = joined_tables([table_of(cut, incumbent) for cut in fitting]), table_of(held, incumbent)
    return found, discover(grower, seen, later)


async def read_history(
    region: Region, tenant_id: bytes, now_ms: int, days: int = WINDOW_DAYS
) -> tuple[Signs, int]:
    """A tenant's signs of the last days, in the order of time, and of one user in how many they are."""
    portions: list[Signs] = []
    share, count = 1, 0
    async for portion in history_of(region).signs(tenant_id, now_ms - days * DAY_MS, now_ms):
        kept = portion if share == 1 else thin_out(portion, share)
        portions.append(kept)
        count += len(kept)
        while count > MOST_SIGNS:
            share *= 2
            portions = [thin_out(one, share) for one in portions]
            count = sum(map(len, portions))
    signs = joined(portions)
    return signs.where(np.argsort(signs.at_ms, kind="stable")), share


async def refresh_models(region: Region) -> None:
    """Take up what began to serve since the last time. Raises Transient."""
    region.models.take(await PostgresModels(region.pools).live(region.models.seen()))
