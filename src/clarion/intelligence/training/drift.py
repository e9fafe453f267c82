"""Drift: whether what people do now is still what they did, by the population stability index.

    PSI = Σ (p − q)·ln(p / q)        p: shares of the latest week; q: shares of the quarter before it

Two samples of the *same* people differ by chance alone: with k shares and samples of n and m, PSI is then about
(1/n + 1/m) times a chi-square of k − 1 degrees of freedom, so (k − 1)(1/n + 1/m) on average (`noise_floor`). With 24
hours and 200 events that is 0.12, and the customary limit of 0.25 fires without any drift. So the floor is taken off,
and samples below `LEAST_EVENTS` are not judged at all.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LIMIT: Final = 0.25
"""PSI above its noise floor from which it is drift: the customary limit of a major shift."""

LEAST_EVENTS: Final = 200
"""Events of the latest days below which nothing is said."""

LATEST_DAYS: Final = 7
BEFORE_DAYS: Final = 90

_PSEUDO: Final = 0.5
"""Added to each count: a share that was nothing yesterday is not infinitely far from one."""


class Stability(msgspec.Struct, frozen=True):
    """A PSI with what it is held against. `events`: of the latest days; `alarm`: whether it is drift."""

    psi: float
    floor: float
    events: int
    alarm: bool


def psi(latest: npt.NDArray[np.generic], before: npt.NDArray[np.generic]) -> float:
    """The index of two arrays of counts [K]; 0: the same shares. Symmetric."""
    one, other = _shares(latest), _shares(before)
    return float(((one - other) * np.log(one / other)).sum())


def noise_floor(shares: int, latest: float, before: float) -> float:
    """What the index of two samples of the same people is on average, by their sizes."""
    if latest <= 0 or before <= 0:
        return float("inf")
    return (shares - 1) * (1 / latest + 1 / before)


def compare(latest: npt.NDArray[np.generic], before: npt.NDArray[np.generic]) -> Stability:
    """Whether counts [K] of the latest days have drifted from those before them."""
    events, held = float(latest.sum()), float(before.sum())
    floor = noise_floor(len(latest), events, held)
    index = psi(latest, before)
    judged = events >= LEAST_EVENTS and held >= LEAST_EVENTS
    return Stability(index, floor, int(events), judged and index - floor > LIMIT)


def watch(daily: npt.NDArray[np.generic], latest: int = LATEST_DAYS, before: int = BEFORE_DAYS) -> list[bool]:
    """By day [D], whether its evening raised the alarm: counts [D, K], the first `latest` + `before` days never do."""
    total = np.vstack([np.zeros((1, daily.shape[1])), daily.astype(np.float64).cumsum(axis=0)])
    alarms = [False] * len(daily)
    for day in range(latest + before - 1, len(daily)):
        end, turn, begin = day + 1, day + 1 - latest, day + 1 - latest - before
        alarms[day] = compare(total[end] - total[turn], total[turn] - total[begin]).alarm
    return alarms


def calibration_error(predicted: FloatArray, happened: npt.NDArray[np.generic], bins: int = 10) -> float:
    """Expected calibration error: how far predicted probabilities [N] are from what happened, in bins of one size."""
    if not len(predicted):
        return 0.0
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(float(predicted[part].mean() - happened[part].mean())) * len(part) for part in parts]
    return sum(gaps) / len(predicted)


def _shares(counts: npt.NDArray[np.generic]) -> FloatArray:
    padded = counts.astype(np.float64) + _PSEUDO
    return padded / padded.sum()
