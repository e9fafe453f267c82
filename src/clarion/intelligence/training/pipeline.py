"""Fitting a tenant's model, judging it on later time, and saying whether it serves.

    history ─▶ cuts ─▶ fit on all but the last ─▶ compare with the incumbent on the last ─▶ promote, or refuse

A model of the same kind that was fitted on newer data serves unless it is surely worse: not to refresh is what makes
models bad. Another kind of model (`challenger.py`) has to be surely better.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
import numpy as np

from clarion.intelligence.features.history import Memory
from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.models.registered import Figure, Metrics
from clarion.intelligence.training.compare import Compared, compare_models, judge
from clarion.intelligence.training.cuts import Cut, cut_and_hold
from clarion.intelligence.training.drift import Stability, compare
from clarion.intelligence.training.fit import (
    fit_likely_hours,
    fit_times_and_channels,
    refresh_population,
    refresh_regions,
)
from clarion.intelligence.training.fit_churn import churn_cuts, fit_churn
from clarion.intelligence.training.fit_clusters import fit_clusters
from clarion.intelligence.training.fit_engagement import fit_engagement
from clarion.intelligence.training.fit_fatigue import fit_fatigue
from clarion.kernel.local_time import DAY_MS, HOUR_MS

Choice: TypeAlias = Literal["promote", "refuse"]

LEAST_SPAN_MS: Final = 12 * DAY_MS
LEAST_USERS: Final = 30
"""Less history, or fewer users, and the defaults go on serving: with each user's own history upon them."""

MOST_SIGNS: Final = 2_000_000
"""Of a larger history whole users are left out, by chance, until it fits: 200 MB, and half a minute."""

_LATEST_DAYS: Final = 7
_BEFORE_DAYS: Final = 90
DRIFT_DAYS: Final = _LATEST_DAYS + _BEFORE_DAYS


class Fitted(NamedTuple):
    """A model that was fitted, how it did, and what is to become of it."""

    model: TenantModel
    metrics: Metrics
    choice: Choice
    reason: str


def fit_and_judge(
    signs: Signs, incumbent: TenantModel, now_ms: int, *, chosen: bool = False
) -> Fitted | None:
    """A candidate of a tenant's history (in the order of time), judged; None where there is too little to fit.

    `chosen`: a person chose the incumbent, and the candidate has to be surely better to take its place.
    Pure; it takes seconds, so run it beside the event loop. Nothing of the time on which it is judged was fitted on.
    """
    users = len(np.unique(signs.user_id))
    first_ms = int(signs.at_ms[0]) if len(signs) else now_ms
    if users < LEAST_USERS or now_ms - first_ms < LEAST_SPAN_MS:
        return None
    cuts, held = cut_and_hold(signs, first_ms, now_ms)
    candidate = fit_times_and_channels(cuts, incumbent, held.records, held.at_ms)
    candidate = fit_likely_hours(_fit_rest(candidate, signs, cuts, held), signs, held.at_ms)
    found = compare_models(candidate, refresh_population(incumbent, held.records, held.at_ms), held)
    memory = Memory()
    memory.take(signs)
    fresh = refresh_regions(refresh_population(candidate, memory.records, now_ms), signs, now_ms)
    served = msgspec.structs.replace(
        fit_likely_hours(fresh, signs, now_ms),
        clusters=fit_clusters(memory.records, incumbent.clusters, now_ms),
        trained_ms=now_ms,
        from_ms=first_ms,
        to_ms=now_ms,
    )
    kinds = {cluster.name: cluster.meaning for cluster in served.clusters.clusters}
    metrics = Metrics(
        *(found.figures, found.coverage, users, len(signs)), clusters=kinds, calibration=found.calibration
    )
    return Fitted(served, metrics, *_choose(found, incumbent, chosen=chosen))


def _fit_rest(model: TenantModel, signs: Signs, cuts: Sequence[Cut], held: Cut) -> TenantModel:
    """The model with fatigue, churn and calibration fitted to what came before the held cut."""
    before = signs.where(np.flatnonzero(signs.at_ms < held.at_ms))
    silences = churn_cuts(before, int(signs.at_ms[0]), held.at_ms, DEFAULTS.churn.horizon_d)
    return msgspec.structs.replace(
        model,
        fatigue=fit_fatigue(before, DEFAULTS.fatigue),
        churn=fit_churn(silences, DEFAULTS.churn),
        engagement=fit_engagement(cuts, model.channel, held.records, DEFAULTS.engagement),
    )


def _choose(found: Compared, incumbent: TenantModel, *, chosen: bool) -> tuple[Choice, str]:
    verdict = judge(found.figures)
    if chosen and verdict in {"no worse", "too little"}:
        return "refuse", f"not surely better than {incumbent.name}, which somebody chose"
    match verdict:
        case "worse":
            worst = min(found.figures.items(), key=lambda named: named[1].high)
            return "refuse", f"worse than {incumbent.name}: {_told(*worst)}"
        case "better":
            best = max(found.figures.items(), key=lambda named: named[1].low)
            return "promote", f"better than {incumbent.name}: {_told(*best)}"
        case "no worse":
            return "promote", f"no worse than {incumbent.name}, and of newer data"
        case _:
            return "promote", "too few people to compare it: it leans on the population"


def _told(name: str, figure: Figure) -> str:
    gain = figure.candidate - figure.incumbent
    return f"{name} {gain:+.4f} ({figure.low:+.4f} to {figure.high:+.4f}, {figure.people} people)"


def thin_out(signs: Signs, share: int) -> Signs:
    """The signs of one user of `share`, by number: whole histories, the same ones each time."""
    return signs.where(np.flatnonzero((signs.user_id * 2654435761 >> 7) % share == 0))


def find_drift(signs: Signs, now_ms: int) -> dict[str, Stability]:
    """Whether what users did in the last seven days is what they did in the ninety before: by hour, channel, kind."""
    turn = now_ms - _LATEST_DAYS * DAY_MS
    inside = (signs.at_ms >= turn - _BEFORE_DAYS * DAY_MS) & (signs.at_ms < now_ms)
    signs = signs.where(inside)
    late = signs.at_ms >= turn
    hour = (signs.at_ms + signs.offset_ms) // HOUR_MS % 24
    on_channel = signs.channel >= 0
    counts = {
        "hours": [np.bincount(hour[part], minlength=24) for part in (late, ~late)],
        "channels": [np.bincount(signs.channel[part & on_channel], minlength=3) for part in (late, ~late)],
        "kinds": [np.bincount(signs.kind[part], minlength=6) for part in (late, ~late)],
    }
    return {name: compare(*pair) for name, pair in counts.items()}
