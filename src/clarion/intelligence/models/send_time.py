"""When a person is there, and when she answers: empirical Bayes over local hours, the same in serving and in training.

    population's curve g[d, h] ─▶ the user's own ─▶ her own by day type ─▶ her answers by hour of the send

    n[d, h]  = Σ mix[k] · presence[k, d, h], smoothed around the clock       what is known of her
    u[d, h]  = (Σ_d n[d, h] + shrink_user · g[d, h]) / (Σ n + shrink_user)    what is expected of any of her days
    m[d, h]  = (n[d, h] + shrink_day · u[d, h]) / (Σ_h n[d, h] + shrink_day)   what is expected of this kind of day

Somebody unknown gets the population's curve in her own local time; each active hour takes her further from it. All
curves have mean 1: they say how much more than at an average hour.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.decay import PRESENCE, SLOW, share_left
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models.model import SendTimeParameters
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

HOURS: Final = 24
DAY_TYPES: Final = 2

_WEST_AHEAD_H: Final = -3
_EAST_AHEAD_H: Final = 4
REGIONS: Final = 3
"""Parts of the world by how far clocks are ahead of UTC: the Americas, Europe with Africa, and Asia with Oceania."""

_LATEST_AHEAD_H: Final = 13
"""Of 24 differences of clocks, those above are behind UTC: Hawaii's -10 is also 14, which hardly anybody has."""

_LEAST: Final = np.float32(1e-3)
"""Nothing is impossible: the least that a curve says of an hour."""

_ROUNDING: Final = 1e-6
"""Sums of hours that make up a mass exactly may fall short of it by this."""

_DAYS_OF_TYPE: Final = np.array([[5 / 7], [2 / 7]], np.float32)


@lru_cache(maxsize=64)
def kernel(smooth_h: float) -> FloatArray:
    """Gaussian around the clock of `smooth_h` hours (one sigma; 0: none), [24, 24]: `curve @ kernel` smooths."""
    apart = np.abs(np.subtract.outer(np.arange(HOURS), np.arange(HOURS)))
    apart = np.minimum(apart, HOURS - apart)
    if smooth_h <= 0:
        return np.eye(HOURS, dtype=np.float32)
    weights = np.exp(-0.5 * (apart / smooth_h) ** 2)
    smooth: FloatArray = (weights / weights.sum(axis=0)).astype(np.float32)
    smooth.flags.writeable = False
    return smooth


def presence(records: RecordArray, mix: tuple[float, ...], now_ms: int | IntArray) -> FloatArray:
    """Active hours by day type and local hour, [B, 2, 24], as they weigh at `now_ms`: the mixed bank, not smoothed."""
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[:, PRESENCE]
    weights: FloatArray = left * np.array(mix, np.float32)
    bank: FloatArray = records["presence"]
    mixed: FloatArray = np.zeros((len(records), DAY_TYPES, HOURS), np.float32)
    for life in range(bank.shape[1]):
        mixed += bank[:, life] * weights[:, life, None, None]
    return mixed


def curves(records: RecordArray, parameters: SendTimeParameters, now_ms: int | IntArray) -> FloatArray:
    """How present each user is, by day type and local hour, [B, 2, 24], mean 1 over the hours of each day type."""
    return posterior(presence(records, parameters.mix, now_ms), parameters)


def posterior(counted: FloatArray, parameters: SendTimeParameters) -> FloatArray:
    """`m` of the module's text of users of whom `presence` counted [B, 2, 24]; mean 1."""
    own = _smooth(counted, parameters.smooth_h)
    of_type = counted.sum(axis=2, keepdims=True)  # smoothing moves hours and loses none
    known = of_type.sum(axis=1, keepdims=True)
    user, day = np.float32(parameters.shrink_user), np.float32(parameters.shrink_day)
    expected = (own[:, :1] + own[:, 1:]) + (user / HOURS) * population_curves(parameters)
    expected *= day / (known + user)
    expected += own
    expected *= HOURS / (of_type + day)
    return np.maximum(expected, _LEAST, out=expected)


def _smooth(hours: FloatArray, width_h: float) -> FloatArray:
    """Hours [..., 24] smoothed around the clock: one multiplication of matrices over all of them."""
    return (hours.reshape(-1, HOURS) @ kernel(width_h)).reshape(hours.shape)


@lru_cache(maxsize=256)
def _population(given: tuple[tuple[float, ...], ...]) -> FloatArray:
    curve = np.array(given, np.float32)
    curve = np.maximum(curve / curve.mean(axis=1, keepdims=True), _LEAST)
    curve.flags.writeable = False
    return curve


def population_curves(parameters: SendTimeParameters) -> FloatArray:
    """The curves of somebody unknown, [2, 24], mean 1; read-only."""
    return _population(parameters.curves)


def region_of(ahead_h: IntArray) -> IntArray:
    """The part of the world, 0 to `REGIONS` - 1, whose clocks are so many hours ahead of UTC (modulo 24)."""
    turned = np.asarray(ahead_h, np.int64) % HOURS
    ahead = np.where(turned > _LATEST_AHEAD_H, turned - HOURS, turned)
    return (ahead >= _WEST_AHEAD_H).astype(np.int64) + (ahead >= _EAST_AHEAD_H)


def region_curves(parameters: SendTimeParameters) -> FloatArray:
    """The curves of somebody unknown by part of the world, [REGIONS, 2, 24], mean 1."""
    if not parameters.regions:
        return np.broadcast_to(population_curves(parameters), (REGIONS, DAY_TYPES, HOURS))
    return np.stack([_population(curves) for curves in parameters.regions])


def certainty(counted: FloatArray, parameters: SendTimeParameters) -> FloatArray:
    """How much of a user's curve is her own, [B], 0 (all of it is the population's) to 1. `counted` as `presence`."""
    known = counted.sum(axis=(1, 2))
    return known / (known + np.float32(parameters.shrink_user))


def all_days(by_type: FloatArray) -> FloatArray:
    """Curves of an average day, [B, 24], of those by day type [B, 2, 24]."""
    return np.asarray((by_type * _DAYS_OF_TYPE).sum(axis=1), np.float32)


def reached(by_type: FloatArray, parameters: SendTimeParameters) -> FloatArray:
    """How present each user is about an hour, of her curves [..., 24]: what is sent is met by who comes near it.

    So the best hour to send is the middle of somebody's hours, and not a peak at their edge.
    """
    return _smooth(by_type, parameters.reach_h)


def best_hour(by_type: FloatArray, parameters: SendTimeParameters) -> IntArray:
    """The local hour [B] about which each user is most probably there, on an average day, of curves [B, 2, 24]."""
    return np.argmax(reached(all_days(by_type), parameters), axis=1)


def best_hours(curve: FloatArray, count: int = 3, apart_h: int = 2) -> IntArray:
    """The `count` best local hours of curves [B, 24], best first, [B, count], each `apart_h` hours from the others."""
    left = curve.astype(np.float32, copy=True)
    found = np.empty((len(curve), count), np.int64)
    hours = np.arange(HOURS)
    for place in range(count):
        best = np.argmax(left, axis=1)
        found[:, place] = best
        distance = np.abs(hours - best[:, None])
        left[np.minimum(distance, HOURS - distance) < apart_h] = -1
    return found


def mass_before(curve: FloatArray) -> FloatArray:
    """Of each hour of curves [..., 24], the share of the curve in the hours that are likelier; ties go to early hours.

    So 0 for the likeliest. The smallest set of hours that holds a mass is those with less than it before them.
    """
    order = np.argsort(-curve, axis=-1, kind="stable")
    ranked = np.take_along_axis(curve, order, -1).astype(np.float64)
    before = np.empty(curve.shape, np.float64)
    np.put_along_axis(before, order, ranked.cumsum(-1) - ranked, -1)
    return np.asarray(before / ranked.sum(-1, keepdims=True), np.float32)


def hour_set(curve: FloatArray, mass: float | FloatArray) -> BoolArray:
    """The smallest set of hours that holds `mass` of each curve [..., 24]; True in the set. Ties go to early hours.

    `mass`: one number, or one a curve [...].
    """
    wanted = np.asarray(mass, np.float32)[..., None] - np.float32(_ROUNDING)
    return mass_before(curve) < wanted


def likely_hours(by_type: FloatArray, certain: FloatArray, parameters: SendTimeParameters) -> BoolArray:
    """The hours of each day type, [B, 2, 24], that hold 70 % of a user's presence.

    By curves [B, 2, 24] and `certainty` [B]. How much predicted mass that takes is fitted for who is unknown and for
    who is known, apart: a curve that is shrunk to the population's is broader than the person.
    """
    unknown, known = parameters.set_mass, parameters.set_mass_known
    mass = np.float32(unknown) + np.float32(known - unknown) * certain
    return hour_set(by_type, mass[:, None])


def added_by_message(
    parameters: SendTimeParameters, channel: IntArray, class_: IntArray, hour: IntArray
) -> FloatArray:
    """What a message's channel and class (-1: unknown) add to log odds at local hours, [N] each."""
    by_channel = np.array(parameters.by_channel, np.float32)[channel, hour]
    by_class = np.array(parameters.by_class, np.float32)[class_, hour]
    return np.asarray(by_channel + np.where(class_ >= 0, by_class, 0), np.float32)


def uncertainty(by_type: FloatArray) -> FloatArray:
    """How little is known of the hour, [B]: entropy of an average day's curve, 0 (one hour) to 1 (all alike)."""
    share = all_days(by_type) / HOURS
    share /= share.sum(axis=1, keepdims=True)
    return np.asarray(-(share * np.log(share)).sum(axis=1) / np.log(HOURS), np.float32)


def answer_odds(
    records: RecordArray,
    by_type: FloatArray,
    parameters: SendTimeParameters,
    now_ms: int | IntArray,
) -> FloatArray:
    """What the hour of a send multiplies the odds of an answer by, [B, 2, 24].

    Presence about the hour to the power `elasticity`; where sends went out at an hour, what became of them counts by
    the `shrink_exposed` pseudo-sends that the curve is worth: rates by send, so that the hours at which the tenant
    happens to send are not taken for those at which people answer.
    """
    odds = reached(by_type, parameters)
    np.power(odds, np.float32(parameters.elasticity), out=odds)
    rows = np.flatnonzero(records["exposed"].any(axis=1))
    if not rows.size:
        return odds
    mine = slice(None) if rows.size == len(records) else rows
    left = share_left(np.maximum(now_ms - records["as_of_ms"], 0))[mine, SLOW, None]
    sent = _smooth(records["exposed"][mine] * left, parameters.smooth_h)
    answered = np.minimum(_smooth(records["answered"][mine] * left, parameters.smooth_h), sent)
    strength = np.float32(parameters.shrink_exposed)
    rate = (answered.sum(axis=1) + strength * np.float32(parameters.answered)) / (sent.sum(axis=1) + strength)
    base = (rate / (1 - rate))[:, None, None]
    # Her rate was found at the hours at which she was sent to: those are her average, and others are measured by them.
    usual = ((sent * all_days(odds[mine])).sum(axis=1) + strength) / (sent.sum(axis=1) + strength)
    # With p expected at an hour, (answered + strength·p) : (sent - answered + strength·(1 - p)) are the odds found.
    chance = odds[mine] * (base / usual[:, None, None])
    chance /= 1 + chance
    chance *= strength
    answered, ignored = answered[:, None], (sent - answered)[:, None]
    odds[mine] = (answered + chance) / ((ignored + strength) - chance) / base
    return odds
