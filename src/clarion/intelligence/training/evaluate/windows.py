"""Windows of the day: the hours that a person really uses, and those that a curve would choose."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

HOURS: Final = 24
DAY_BEGINS: Final = 4
"""Contiguous windows lie within a day of 04:00 to 04:00, so that none crosses the night's middle."""

SIGMA_H: Final = 1.0
"""Width of the kernel by which the density of somebody's future is estimated from the hours that she was there."""


def density(counts: npt.NDArray[np.generic]) -> FloatArray:
    """The density of hours [B, 24] that were counted, smoothed around the clock by `SIGMA_H`."""
    apart = np.abs(np.subtract.outer(np.arange(HOURS), np.arange(HOURS)))
    kernel = np.exp(-0.5 * (np.minimum(apart, HOURS - apart) / SIGMA_H) ** 2)
    return counts.astype(np.float64) @ (kernel / kernel.sum(axis=0))


def smallest_set(curve: npt.NDArray[np.generic], mass: float = 0.5) -> BoolArray:
    """The smallest set of hours that holds `mass` of each curve [B, 24]; True inside."""
    values = curve.astype(np.float64)
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, 1)
    before = ranked.cumsum(axis=1) - ranked
    inside = before < mass * ranked.sum(axis=1, keepdims=True) - 1e-9
    chosen = np.zeros(values.shape, np.bool_)
    np.put_along_axis(chosen, order, inside, 1)
    return chosen


def best_window(curve: npt.NDArray[np.generic], length: int) -> BoolArray:
    """The contiguous `length` hours, within a day from 04:00 to 04:00, that hold most of a curve [24]; True inside."""
    day = np.roll(curve.astype(np.float64), -DAY_BEGINS)
    start = int(np.convolve(day, np.ones(length), "valid").argmax())
    return fixed_window((start + DAY_BEGINS) % HOURS, length)


def fixed_window(start: int, length: int) -> BoolArray:
    """`length` hours from `start` on, [24]."""
    inside: IntArray = (np.arange(HOURS) - start) % HOURS
    return inside < length
