"""Fitting when people are there: by how well the past of users tells the hours of their future.

The score is the mean logarithm of what a user's curve gave to the hours in which she then was, point-in-time, over
cuts of history. Every number is fitted by it: how fast the past is forgotten (`mix`), how far one's own hours outweigh
the population's (`shrink_user`, `shrink_day`), how wide an hour reaches (`smooth_h`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models import SendTimeParameters, send_time
from clarion.intelligence.training.cuts import Cut
from clarion.intelligence.training.search import Point, climb
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float32]

MOST_HOURS: Final = 20.0
"""A user counts at most like this many hours: a few busy people, or bots, are not the population."""

TYPICAL_HOURS: Final = 3.0
"""The same, in the population's curve."""

LEAST_USERS: Final = 30
"""Users with a future without which nothing is fitted: what is known of other tenants is better than noise."""

PRIOR_HOURS: Final = 100.0
"""Hours of the default's curve in that of a population: gone in a crowd, what there is without one."""

_GRIDS: Final = {
    "slow": (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0),
    "shrink_user": (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 48.0),
    "smooth_h": (0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
    "shrink_day": (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0),
}

_SPREADS: Final = {"slow": 0.3, "shrink_user": 0.7, "smooth_h": 0.3, "shrink_day": 0.7}
"""How far tenants differ from the default (one sigma; of all but `slow`, of the logarithm): what a few users say of
these numbers is weighed against it, and what a thousand say is not."""


@dataclass(frozen=True, slots=True, eq=False)
class _Past:
    """Of a cut's users with a future: the bank of what was counted, the future, and how much each counts."""

    quick: FloatArray  # [B, 2, 24]
    slow: FloatArray
    future: FloatArray
    weight: FloatArray  # [B]
    curves: tuple[tuple[float, ...], ...]


def fit_send_time(
    cuts: Sequence[Cut], base: SendTimeParameters, now: RecordArray, now_ms: int
) -> SendTimeParameters:
    """The parameters by which the past of `cuts` tells their future best, starting from `base`.

    `now`, `now_ms`: the records of the population and their instant, of which the curves are made. With fewer than
    `LEAST_USERS` users that have a future, only the curves are.
    """
    pasts = [_past(cut) for cut in cuts]
    fitted = base
    if sum(len(past.weight) for past in pasts) >= LEAST_USERS:
        fitted = _fit_shape(pasts, base)
    return refresh_curves(fitted, now, now_ms)


def refresh_curves(parameters: SendTimeParameters, records: RecordArray, now_ms: int) -> SendTimeParameters:
    """The same, with the curves of the population of `records` as it is now. Cheap: to be done daily."""
    counted = send_time.presence(records, _mix(1.0), now_ms)
    return msgspec.structs.replace(parameters, curves=population(counted))


def population(counted: FloatArray) -> tuple[tuple[float, ...], ...]:
    """The curves of a population of which each user has `counted` [B, 2, 24]; nobody counts more than `TYPICAL_HOURS`.

    They are what is expected of strangers, and strangers are not like those who come every day.
    """
    known = counted.sum(axis=(1, 2))
    share = np.minimum(1, TYPICAL_HOURS / np.maximum(known, TYPICAL_HOURS))
    total = np.einsum("bdh,b->dh", counted, share).astype(np.float64)
    default = send_time.population_curves(SendTimeParameters()) / send_time.HOURS
    total = total @ send_time.kernel(1.0) + PRIOR_HOURS * default * np.array([[5 / 7], [2 / 7]])
    return tuple(tuple(row) for row in (total / total.mean(axis=1, keepdims=True)).tolist())


def _mix(slow: float) -> tuple[float, float]:
    return (1 - slow, slow)


def _past(cut: Cut) -> _Past:
    slow = send_time.presence(cut.records, _mix(1.0), cut.at_ms)
    rows: IntArray = np.flatnonzero(cut.presence.any(axis=(1, 2)))
    future = cut.presence[rows]
    hours = future.sum(axis=(1, 2))
    return _Past(
        quick=send_time.presence(cut.records[rows], _mix(0.0), cut.at_ms),
        slow=slow[rows],
        future=future,
        weight=np.minimum(hours, MOST_HOURS) / hours,
        curves=population(slow),
    )


def _fit_shape(pasts: Sequence[_Past], base: SendTimeParameters) -> SendTimeParameters:
    def score(point: Point) -> float:
        total = hours = 0.0
        for past in pasts:
            curve = _curves(past, _at(base, point))
            told = np.log(curve / send_time.HOURS) * past.future
            total += float((told.sum(axis=(1, 2)) * past.weight).sum())
            hours += float((past.future.sum(axis=(1, 2)) * past.weight).sum())
        return total / hours

    users = sum(len(past.weight) for past in pasts)

    def believable(point: Point) -> float:
        return score(point) - _strangeness(point) / users

    best, _ = climb(believable, _GRIDS, _point(base))
    return _at(base, best)


def _point(parameters: SendTimeParameters) -> dict[str, float]:
    """Where on the grids' axes parameters are."""
    return {
        "slow": parameters.mix[-1] / sum(parameters.mix),
        "shrink_user": parameters.shrink_user,
        "smooth_h": parameters.smooth_h,
        "shrink_day": parameters.shrink_day,
    }


def _strangeness(point: Point) -> float:
    """How improbable a point is before anything is seen: minus the logarithm of a normal density about the default."""
    usual = _point(SendTimeParameters())
    apart = {
        name: point[name] - usual[name] if name == "slow" else log(point[name] / usual[name])
        for name in usual
    }
    return 0.5 * sum((apart[name] / _SPREADS[name]) ** 2 for name in usual)


def _at(base: SendTimeParameters, point: Point) -> SendTimeParameters:
    return msgspec.structs.replace(
        base,
        mix=_mix(point["slow"]),
        shrink_user=point["shrink_user"],
        shrink_day=point["shrink_day"],
        smooth_h=point["smooth_h"],
    )


def _mixed(past: _Past, parameters: SendTimeParameters) -> FloatArray:
    quick, slow = np.array(parameters.mix, np.float32)
    return np.asarray(quick * past.quick + slow * past.slow, np.float32)


def _curves(past: _Past, parameters: SendTimeParameters) -> FloatArray:
    by_population = msgspec.structs.replace(parameters, curves=past.curves)
    return send_time.posterior(_mixed(past, parameters), by_population)
