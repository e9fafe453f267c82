"""On which channel a person answers: decayed Beta posteriors by user and channel, the same in serving and in training.

    share[c] = (touched[c] + lasting · usual[c] + shrink_touch · shares[c]) / Σ              where she is met
    prior[c] = rates[c] · (share[c] / shares[c]) ^ touch                              what is expected of a send
    rate[c]  = (answered[c] + strength · prior[c]) / (sent[c] + strength)               what became of sends

A channel on which nothing ever happened has its prior, so that it can be chosen; what she does of her own accord on a
channel moves the prior, what became of sends moves the posterior.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.decay import CHANNEL, share_left
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models.model import ChannelParameters
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float32]

_LEAST: Final = np.float32(1e-3)
"""Least and, from 1, greatest rate."""

_ROUNDING: Final = np.float32(1e-4)
"""What is left of a sum when all that it was made of is taken away may be this share of it, by rounding."""

_MOST_PRIOR: Final = np.float32(0.6)
"""What a prior says at most before any send was answered."""


class Known(NamedTuple):
    """What is known of users by channel, decayed and mixed, [B, C] each."""

    sent: FloatArray
    answered: FloatArray
    touched: FloatArray
    """Signs of the person of her own accord: not the opens and clicks of what was sent."""
    usual: FloatArray
    """Shares of them by channel in the long run, adding up to 1, however long ago; 0 where there never was any."""


def known(records: RecordArray, parameters: ChannelParameters, now_ms: int | IntArray) -> Known:
    """What records say of users by channel, as it weighs at `now_ms`."""
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[:, CHANNEL]
    of_sends = left * np.array(parameters.mix, np.float32)
    of_touches = left * np.array(parameters.touch_mix, np.float32)
    sent = _mixed(records["sent"], of_sends)
    own = records["touched"] - records["opened"] - records["clicked"]
    own = np.where(own > _ROUNDING * records["touched"], own, 0)
    in_all = own[:, -1].sum(axis=1, keepdims=True)
    return Known(
        sent=sent,
        answered=np.minimum(_mixed(records["opened"], of_sends), sent),
        touched=_mixed(own, of_touches),
        usual=np.divide(own[:, -1], in_all, out=np.zeros_like(sent), where=in_all > 0),
    )


def _mixed(bank: FloatArray, weights: FloatArray) -> FloatArray:
    """Σ over half-lives of bank [B, S, C] by weights [B, S]."""
    return np.asarray(np.einsum("bsc,bs->bc", bank, weights), np.float32)


def touch_shares(user: Known, parameters: ChannelParameters) -> FloatArray:
    """Where each user is next met, [B, C]: probabilities that sum to 1."""
    counted = user.touched + np.float32(parameters.lasting) * user.usual
    counted += np.float32(parameters.shrink_touch) * population_shares(parameters)
    return np.asarray(counted / counted.sum(axis=1, keepdims=True), np.float32)


def population_shares(parameters: ChannelParameters) -> FloatArray:
    """Where people are met of their own accord, [C], summing to 1; no channel is impossible."""
    shares = np.maximum(np.array(parameters.shares, np.float32), _LEAST)
    return np.asarray(shares / shares.sum(), np.float32)


def priors(user: Known, parameters: ChannelParameters) -> FloatArray:
    """P(answer) by user and channel before any send to her counts, [B, C]."""
    lift = (touch_shares(user, parameters) / population_shares(parameters)) ** np.float32(parameters.touch)
    return np.asarray(np.clip(np.array(parameters.rates, np.float32) * lift, _LEAST, _MOST_PRIOR), np.float32)


def lifted(prior: FloatArray, lift: float) -> FloatArray:
    """Priors [B, C] multiplied by `lift`: of a channel of which the user said something herself."""
    return np.asarray(np.minimum(prior * np.float32(lift), _MOST_PRIOR), np.float32)


def rates(user: Known, parameters: ChannelParameters, prior: FloatArray | None = None) -> FloatArray:
    """P(answer | a send on the channel, at an average hour), [B, C]. `prior` [B, C]: None for `priors`."""
    expected = priors(user, parameters) if prior is None else prior
    strength = np.float32(parameters.strength)
    rate = (user.answered + strength * expected) / (user.sent + strength)
    return np.asarray(np.clip(rate, _LEAST, 1 - _LEAST), np.float32)


def usual_rates(parameters: ChannelParameters) -> FloatArray:
    """P(answer | a send on the channel) of somebody unknown, [C]."""
    return np.asarray(np.clip(np.array(parameters.rates, np.float32), _LEAST, _MOST_PRIOR), np.float32)


def odds(rate: FloatArray) -> FloatArray:
    """p/(1 - p)."""
    return rate / (1 - rate)


def certainty(user: Known, parameters: ChannelParameters) -> FloatArray:
    """How much of a user's rates is her own, [B], 0 (all of it is the population's) to 1."""
    evidence = user.sent.sum(axis=1) + user.touched.sum(axis=1)
    return evidence / (evidence + np.float32(parameters.strength))
