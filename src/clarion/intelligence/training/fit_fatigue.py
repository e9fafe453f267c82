"""Fitting what volume costs: after which messages people turned away, by how many they had had in the week before.

A logistic regression of each channel, with the defaults as its prior: where nobody refuses, or all get as much as
another, nothing is learned, and nothing changes.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.intelligence.models.model import FatigueParameters
from clarion.kernel.local_time import DAY_MS, IntArray

DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEAST_SENDS: Final = 1_000
"""Sends of a channel without which its parameters stay as they are."""

WEEK_MS: Final = 7 * DAY_MS
BLAMED_MS: Final = 3 * DAY_MS
"""A refusal this long after a message, and before the next one, is of that message."""

_STEPS: Final = 15
_SPREAD: Final = (1.5, 0.1)
"""Standard deviations of the prior about the defaults: of the base, and of the slope."""


def fit_fatigue(signs: Signs, base: FatigueParameters) -> FatigueParameters:
    """`base`, with the risks of channels fitted to who refused after how much. `signs` in any order. Pure."""
    bases, slopes = list(base.base), list(base.slope)
    for place in range(len(CHANNELS)):
        volume, refused = blame(signs, place)
        if len(volume) >= LEAST_SENDS:
            bases[place], slopes[place] = _fit(volume, refused, (bases[place], slopes[place]))
    return msgspec.structs.replace(base, base=tuple(bases), slope=tuple(slopes))


def blame(signs: Signs, channel: int) -> tuple[DoubleArray, BoolArray]:
    """By send on a channel: how many its user had had in the week before, and whether she refused after it."""
    wanted = (signs.channel == channel) & np.isin(signs.kind, (SignKind.SENT, SignKind.REFUSED))
    mine = signs.where(np.flatnonzero(wanted))
    order = np.lexsort((mine.kind, mine.at_ms, mine.user_id))
    mine = mine.where(order)
    is_send = mine.kind == SignKind.SENT
    sends = np.flatnonzero(is_send)
    if not len(sends):
        return np.zeros(0), np.zeros(0, np.bool_)
    user, at_ms = mine.user_id[sends], mine.at_ms[sends]
    volume = np.arange(len(sends)) - _first_within_a_week(user, at_ms)
    refused = np.zeros(len(sends), np.bool_)
    latest = np.cumsum(is_send) - 1
    words = np.flatnonzero(~is_send & (latest >= 0))
    to = latest[words]
    fits = (user[to] == mine.user_id[words]) & (mine.at_ms[words] - at_ms[to] <= BLAMED_MS)
    refused[to[fits]] = True
    return volume.astype(np.float64), refused


def _first_within_a_week(user: IntArray, at_ms: IntArray) -> IntArray:
    """By send (ordered by user, then time), the place of the first one to the same user in the week before it."""
    # One axis for all users: each has a stretch of time of her own that no other reaches.
    span = int(at_ms.max() - at_ms.min()) + 2 * WEEK_MS
    _, number = np.unique(user, return_inverse=True)
    line: IntArray = np.asarray(number, np.int64) * span + (at_ms - at_ms.min())
    return np.asarray(np.searchsorted(line, line - WEEK_MS, side="right"), np.int64)


def _fit(volume: DoubleArray, refused: BoolArray, prior: tuple[float, float]) -> tuple[float, float]:
    """Base and slope by Newton's steps, held to the prior."""
    columns = np.stack([np.ones(len(volume)), volume], axis=1)
    middle, precision = np.array(prior), np.diag(1 / np.square(_SPREAD))
    weights = middle.copy()
    for _ in range(_STEPS):
        rate = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (refused - rate) - precision @ (weights - middle)
        bend = (columns * (rate * (1 - rate))[:, None]).T @ columns + precision
        weights += np.linalg.solve(bend, slope)
    return round(float(weights[0]), 5), round(max(float(weights[1]), 0.0), 5)
