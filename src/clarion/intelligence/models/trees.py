"""What trees see of a user on a channel, and how what they say joins what the formulas say.

    logit P(answer | user, channel, hour) = logit of the formulas + trees(48 features, channel, logit of her rate)

Trees are grown upon the formulas' word about the very sends that they learn from, so they say only what is left to be
said, and nothing where nothing is. What they add is the same at all hours: when somebody is there stays the formulas'.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.definitions import NAMES, compute
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models import channel
from clarion.intelligence.models.model import ChannelParameters
from clarion.kernel.local_time import DAY_MS

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

INPUTS: Final = (*NAMES, *(f"on_{name}" for name in CHANNELS), "log_odds")
"""Columns of what trees see: the features, the channel, and the formulas' word at an average hour."""

STALE_MS: Final = 42 * DAY_MS
"""Trees that are older are not asked: never refreshed, they fall behind the formulas within the year (`ml.md`, C6)."""

MOST_BYTES: Final = 4_000_000
"""Of an artefact. Those that we grow have about 100 kB."""

_C: Final = len(CHANNELS)
_MOST_ADDED: Final = 3.0
"""To a logit, by trees: odds times or by 20 are a mistake."""

_LEAST: Final = 1e-6


class Trees(Protocol):
    """Something grown, opened."""

    def expect(self, inputs: FloatArray) -> DoubleArray:
        """P of each row of inputs [N, len(INPUTS)], whose logit is what is added."""
        ...


class TreesSource(Protocol):
    """Trees that serve, in memory. Opening takes a moment that no decision waits for."""

    def opened(self, grown: bytes) -> Trees | None:
        """The trees of an artefact; None as long as they are being opened, and where they cannot be."""
        ...


def inputs_of(records: RecordArray, parameters: ChannelParameters, now_ms: int) -> FloatArray:
    """What trees see of users on each channel, [B, C, len(INPUTS)]."""
    rates = channel.rates(channel.known(records, parameters, now_ms), parameters)
    found = np.empty((len(records), _C, len(INPUTS)), np.float32)
    found[:, :, : len(NAMES)] = compute(records, now_ms)[:, None, :]
    found[:, :, len(NAMES) : len(NAMES) + _C] = np.eye(_C, dtype=np.float32)
    found[:, :, -1] = np.log(channel.odds(rates))
    return found


def added_by(chance: DoubleArray) -> DoubleArray:
    """What P from trees adds to the logarithm of the odds. NaN stays NaN: the caller sees that it is no number."""
    bounded = np.clip(chance, _LEAST, 1 - _LEAST)
    return np.clip(np.log(bounded / (1 - bounded)), -_MOST_ADDED, _MOST_ADDED)
