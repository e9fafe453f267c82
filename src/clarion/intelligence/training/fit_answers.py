"""Fitting how much the hour of a send matters: by the likelihood of what became of sends at the hours they went out.

Where all goes out at one hour there is nothing to learn, and nothing changes. People who answer more, and channels that
are answered more, are not taken for good hours: what each was expected to answer is part of the likelihood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.models import ChannelParameters, SendTimeParameters, channel, send_time
from clarion.intelligence.training.cuts import Cut
from clarion.intelligence.training.fit_channel import LEAST_SENDS, refresh_rates
from clarion.intelligence.training.fit_send_time import refresh_curves
from clarion.intelligence.training.search import Point, climb
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

OFFSET_ANSWERS: Final = 30.0
"""Expected answers at an hour of a channel, for what came of it to count half."""

_GRIDS: Final = {
    "elasticity": (0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 1.0, 1.25),
    "shrink_exposed": (4.0, 8.0, 12.0, 24.0, 48.0, 96.0),
}
_C: Final = len(CHANNELS)
_GROUPS: Final = 3
_H: Final = send_time.HOURS
_NEWTON_STEPS: Final = 6
_MOST_OFFSET: Final = 1.5
"""An hour may make an answer so much more or less probable, on the logarithm of the odds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outcomes:
    """N sends of a cut, and what was known of their users before it."""

    cut: Cut
    curves: FloatArray  # [B, 2, 24]
    odds: DoubleArray  # [N]: of an answer at an average hour
    at: tuple[IntArray, IntArray, IntArray]  # [N]: row, day type, hour


def fit_answers(
    cuts: Sequence[Cut], fitted: SendTimeParameters, by_channel: ChannelParameters
) -> SendTimeParameters:
    """`fitted`, with what was learned of hours from the outcomes of sends; as it is where there were too few."""
    outcomes = [_outcomes(cut, fitted, by_channel) for cut in cuts if len(cut.sends.row)]
    if sum(len(known.odds) for known in outcomes) < LEAST_SENDS:
        return fitted
    answered = np.concatenate([known.cut.sends.answered for known in outcomes])
    channels = np.concatenate([known.cut.sends.channel for known in outcomes])
    hours = np.concatenate([known.at[2] for known in outcomes])
    fitted = msgspec.structs.replace(fitted, answered=float(np.clip(answered.mean(), 0.005, 0.9)))

    def odds_at(point: Point) -> DoubleArray:
        tried = msgspec.structs.replace(fitted, **point)
        odds = np.concatenate([_odds(known, tried) for known in outcomes])
        return odds * np.exp(_levels(odds, answered, channels, _C))[channels]

    def score(point: Point) -> float:
        odds = odds_at(point)
        return float((answered * np.log(odds) - np.log1p(odds)).mean())

    start = {"elasticity": fitted.elasticity, "shrink_exposed": fitted.shrink_exposed}
    best, _ = climb(score, _GRIDS, start)
    fitted = msgspec.structs.replace(fitted, **best)
    odds = np.concatenate([_odds(known, fitted) for known in outcomes])
    by_channel_hours = _offsets(odds, answered, channels, hours)
    odds *= np.exp(by_channel_hours)[channels, hours]
    classes = np.concatenate([known.cut.sends.class_ for known in outcomes])
    told = np.flatnonzero(classes >= 0)
    by_class = _offsets(odds[told], answered[told], classes[told], hours[told])
    return msgspec.structs.replace(fitted, by_channel=_rows(by_channel_hours), by_class=_rows(by_class))


def _outcomes(cut: Cut, fitted: SendTimeParameters, by_channel: ChannelParameters) -> _Outcomes:
    """By the population of the cut as it was at its instant."""
    user = channel.known(cut.records, by_channel, cut.at_ms)
    rates = channel.rates(user, refresh_rates(by_channel, cut.records, cut.at_ms))
    rate = rates[cut.sends.row, cut.sends.channel].astype(np.float64)
    curves = send_time.curves(cut.records, refresh_curves(fitted, cut.records, cut.at_ms), cut.at_ms)
    at = (cut.sends.row, cut.sends.day_type, cut.sends.hour)
    return _Outcomes(cut, curves, rate / (1 - rate), at)


def _odds(known: _Outcomes, fitted: SendTimeParameters) -> DoubleArray:
    times = send_time.answer_odds(known.cut.records, known.curves, fitted, known.cut.at_ms)
    return known.odds * times[known.at]


def _levels(odds: DoubleArray, answered: npt.NDArray[np.bool_], group: IntArray, groups: int) -> DoubleArray:
    """By group, what is to be added to log odds for as many answers to be expected as there were, [groups].

    Shrunk to nothing as if `OFFSET_ANSWERS` more had been expected and come: Newton's steps on that likelihood.
    """
    seen = np.bincount(group, answered, groups)
    level = np.zeros(groups)
    for _ in range(_NEWTON_STEPS):
        scaled = odds * np.exp(level)[group]
        chance = scaled / (1 + scaled)
        expected = np.bincount(group, chance, groups)
        spread = np.bincount(group, chance * (1 - chance), groups)
        level += (seen - expected - OFFSET_ANSWERS * level) / (spread + OFFSET_ANSWERS)
    return np.clip(level, -_MOST_OFFSET, _MOST_OFFSET)


def _offsets(
    odds: DoubleArray, answered: npt.NDArray[np.bool_], group: IntArray, hours: IntArray
) -> DoubleArray:
    """What the hours of each group (channel or class, three of either) add to log odds, [3, 24].

    Its level, and the hours' difference from it.
    """
    level = _levels(odds, answered, group, _GROUPS)
    levelled = odds * np.exp(level)[group]
    by_hour = _levels(levelled, answered, group * _H + hours, _GROUPS * _H).reshape(_GROUPS, _H)
    return np.clip(by_hour @ send_time.kernel(1.0) + level[:, None], -_MOST_OFFSET, _MOST_OFFSET)


def _rows(offsets: DoubleArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in offsets.round(4).tolist())
