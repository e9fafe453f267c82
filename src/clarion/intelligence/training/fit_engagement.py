"""Calibrating what is said of opens and clicks: that of those of whom 20 % is said, 20 % do.

Platt's scaling of each channel's posteriors, held to changing nothing where little is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models import ChannelParameters, EngagementParameters, channel
from clarion.intelligence.training.cuts import Cut

DoubleArray = npt.NDArray[np.float64]

LEAST_SENDS: Final = 500
"""Sends of a channel without which its calibration stays as it is."""

PRIOR_OPENS: Final = 50.0
"""Opens of the default behind how many of them are followed by a click."""

_CLICKED: Final = 0.2
_SPREAD: Final = (0.5, 0.25)
"""Standard deviations of the prior: of what is added to a logit, and of what it is multiplied by, about 1."""
_STEPS: Final = 12
_QUARTER: Final = 2


def fit_engagement(
    cuts: Sequence[Cut], by_channel: ChannelParameters, now: RecordArray, base: EngagementParameters
) -> EngagementParameters:
    """`base`, with opens calibrated on the sends of `cuts`; clicks by how many opens of `now` led to one."""
    opens = list(base.opens)
    logits, answered, on = _outcomes(cuts, by_channel)
    for place in range(len(CHANNELS)):
        mine = on == place
        if np.count_nonzero(mine) >= LEAST_SENDS:
            opens[place] = _platt(logits[mine], answered[mine])
    return msgspec.structs.replace(base, opens=tuple(opens), clicks=_clicks(opens, now))


def _outcomes(
    cuts: Sequence[Cut], by_channel: ChannelParameters
) -> tuple[DoubleArray, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """By send: the logit of what was expected of it, whether it was answered, and its channel."""
    logits: list[DoubleArray] = [np.zeros(0)]
    answered: list[npt.NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    on: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for one in cuts:
        user = channel.known(one.records, by_channel, one.at_ms)
        rate = channel.rates(user, by_channel)[one.sends.row, one.sends.channel].astype(np.float64)
        logits.append(np.log(rate / (1 - rate)))
        answered.append(one.sends.answered)
        on.append(one.sends.channel)
    return np.concatenate(logits), np.concatenate(answered), np.concatenate(on)


def _platt(logits: DoubleArray, answered: npt.NDArray[np.bool_]) -> tuple[float, float]:
    columns = np.stack([np.ones(len(logits)), logits], axis=1)
    middle, precision = np.array([0.0, 1.0]), np.diag(1 / np.square(_SPREAD))
    weights = middle.copy()
    for _ in range(_STEPS):
        rate = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (answered - rate) - precision @ (weights - middle)
        bend = (columns * (rate * (1 - rate))[:, None]).T @ columns + precision
        weights += np.linalg.solve(bend, slope)
    return round(float(weights[0]), 4), round(max(float(weights[1]), 0.05), 4)


def _clicks(opens: Sequence[tuple[float, float]], now: RecordArray) -> tuple[tuple[float, float], ...]:
    """Of opens, with the share that is followed by a click taken off on the logit scale."""
    opened = now["opened"][:, _QUARTER].sum(axis=0, dtype=np.float64)
    clicked = np.minimum(now["clicked"][:, _QUARTER].sum(axis=0, dtype=np.float64), opened)
    share = (clicked + PRIOR_OPENS * _CLICKED) / (opened + PRIOR_OPENS)
    return tuple(
        (round(a + float(np.log(part)), 4), b) for (a, b), part in zip(opens, share.tolist(), strict=True)
    )
