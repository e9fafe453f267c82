"""What one more message costs: how probable it makes that a person turns away, and so how tired she counts as.

    volume[c] = messages of a week, by the week's decayed sum
    risk[c]   = 1 / (1 + exp(-(base[c] + slope[c] · volume[c])))       P(she unsubscribes or complains | one more)
    budget[c] = weekly[c] + log(rate[c] / usual rate[c]) / slope[c]      messages of a week after which she had enough
    tired[c]  = max(volume[c] / budget[c], (risk[c] − risk of the first) / TOLERATED), from 0 to 1

The budget is the volume at which one more message costs of her stay what it costs of everybody's at `weekly`, measured
by what it brings: who answers twice as often may run twice the risk, and on the logit scale that is log 2 / slope more
messages. So volume goes to those who want it (Zhao et al., "Notification volume control", KDD 2018).

`decide` takes 0.3 of a score from somebody who is wholly tired. Who refused lately is tired of that channel, whatever
its volume: she may be written to by law again, and still not gladly.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.decay import CHANNEL, QUARTER, share_left
from clarion.intelligence.features.record import CHANNEL_HALF_LIVES_D, RecordArray
from clarion.intelligence.models.model import FatigueParameters
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float32]

TOLERATED: Final = np.float32(0.01)
"""A message after which one of a hundred turns away is as much as any tiring one costs."""

_LEAST_SLOPE: Final = np.float32(0.05)
"""Where volume seems to cost nothing, it is because nobody ever got much."""

_MOST: Final = np.float32(3)
"""A budget is at most so many times the usual one, and at least this part of it."""

_DAYS_OF_WEEK: Final = 7
_WEEK: Final = 0
"""Place of the week's half-life in the channel bank."""

_STEADY: Final = np.float32(np.log(2) * _DAYS_OF_WEEK / CHANNEL_HALF_LIVES_D[_WEEK])
"""Of a steady stream, the messages of seven days as a share of the decayed sum."""


def volumes(records: RecordArray, now_ms: int | IntArray) -> FloatArray:
    """Messages of a week by channel, [B, C], as the decayed sum tells them."""
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[:, CHANNEL[_WEEK]]
    sent: FloatArray = records["sent"][:, _WEEK]
    return sent * left[:, None] * _STEADY


def risks(volume: FloatArray, parameters: FatigueParameters) -> FloatArray:
    """P(she unsubscribes or complains | one more message), [B, C], after `volume` messages of a week."""
    logit = np.array(parameters.base, np.float32) + np.array(parameters.slope, np.float32) * volume
    return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


def budgets(rates: FloatArray, usual: FloatArray, parameters: FatigueParameters) -> FloatArray:
    """Messages of a week after which each user had enough of each channel, [B, C].

    `rates` [B, C]: P(answer | a send) of hers; `usual` [C]: of somebody unknown, who gets what is usual.
    """
    weekly = np.array(parameters.weekly, np.float32)
    slope = np.maximum(np.array(parameters.slope, np.float32), _LEAST_SLOPE)
    return np.asarray(
        np.clip(weekly + np.log(rates / usual) / slope, weekly / _MOST, weekly * _MOST), np.float32
    )


def tired(
    records: RecordArray, budget: FloatArray, parameters: FatigueParameters, now_ms: int | IntArray
) -> FloatArray:
    """How tired each user is of each channel, [B, C], 0 to 1, by her budget [B, C]."""
    volume = volumes(records, now_ms)
    share = volume / budget
    dear = (risks(volume, parameters) - risks(np.zeros_like(volume), parameters)) / TOLERATED
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[:, QUARTER]
    refused: FloatArray = records["refused"] * left[:, None]
    return np.clip(np.maximum(np.maximum(share, dear), refused), 0, 1)
