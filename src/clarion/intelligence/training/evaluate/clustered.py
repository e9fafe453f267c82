"""Shares with intervals that are honest about people: a person's answers resemble one another.

Whole people are drawn again and again, not their answers: by Poisson weights of mean 1, which is drawing with
replacement for as many people as matter here.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float64]

DRAWS: Final = 400
LEVEL: Final = 0.95
SEED: Final = 2026
"""Of the intervals' draws: the same file has the same intervals."""

LEAST_PEOPLE: Final = 10
"""People without whom there is a share, and nothing is said of how certain it is."""

_AT_ONCE: Final = 50


class Share(msgspec.Struct, frozen=True):
    """A mean over answers, its interval of 95 % over people (None: too few of them), and how many of both there are."""

    value: float | None
    low: float | None = None
    high: float | None = None
    people: int = 0
    answers: int = 0


def share(person: IntArray, answer: npt.NDArray[np.generic], scale: float = 100.0) -> Share:
    """The mean of `answer` [N] (booleans or numbers) of `person` [N], times `scale`."""
    if not len(person):
        return Share(None)
    _, place = np.unique(person, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    sums = np.bincount(place, weights=answer.astype(np.float64)).astype(np.float64)
    value = scale * float(sums.sum() / counts.sum())
    if len(counts) < LEAST_PEOPLE:
        return Share(value, people=len(counts), answers=len(person))
    low, high = scale * np.quantile(_draw(sums, counts), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Share(value, float(low), float(high), len(counts), len(person))


def _draw(sums: FloatArray, counts: FloatArray) -> FloatArray:
    chance = np.random.default_rng(SEED)
    found: list[FloatArray] = []
    for _ in range(0, DRAWS, _AT_ONCE):
        weights = chance.poisson(1.0, (_AT_ONCE, len(sums)))
        found.append((weights @ sums) / np.maximum(weights @ counts, 1))
    return np.concatenate(found)
