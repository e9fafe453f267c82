"""Fitting on which channel people answer.

Where there were sends, by the likelihood of their outcomes; where people are met of their own accord, by how well that
tells the channels on which they are met next. Without sends the prior's level stays as it is: where somebody is met
says which channel is hers, and not how often she answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.record import CHANNEL_HALF_LIVES_D, RecordArray
from clarion.intelligence.models import ChannelParameters, channel
from clarion.intelligence.training.cuts import Cut
from clarion.intelligence.training.search import Point, climb

FloatArray = npt.NDArray[np.float32]

LEAST_SENDS: Final = 1_000
"""Sends with a known outcome without which nothing is fitted to them but the rates."""

LEAST_TOUCHES: Final = 200
"""Signs of people's own accord without which nothing is fitted to them but the shares."""

MOST_TOUCHES: Final = 20.0
"""A user counts at most like this many signs."""

PRIOR_TOUCHES: Final = 10.0
PRIOR_SENDS: Final = 50.0
"""Signs and sends, of each channel, of the default in those of a population."""

LOG_SHARE: Final = 0.1
"""What the log score counts beside the share of signs on the likeliest channel: a decision needs the order first."""

SURE: Final = 5e-3
"""Gain of that score below which nothing is changed: that of chance, for a few thousand signs of some hundred users."""

_C: Final = len(CHANNELS)

_PARTS: Final = 4
_MIXES: Final = tuple(
    tuple(part / _PARTS for part in parts)
    for parts in product(range(_PARTS + 1), repeat=len(CHANNEL_HALF_LIVES_D))
    if sum(parts) == _PARTS
)
"""Weights of the bank's half-lives, in quarters."""

_TOUCH_GRIDS: Final[dict[str, tuple[float, ...]]] = {
    "mix": tuple(range(len(_MIXES))),
    "shrink": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    "lasting": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
}
_SEND_GRIDS: Final[dict[str, tuple[float, ...]]] = {
    "mix": tuple(range(len(_MIXES))),
    "strength": (1.0, 2.0, 4.0, 6.0, 10.0, 16.0, 30.0, 60.0),
    "touch": (0.0, 0.25, 0.5, 0.75, 1.0),
}


def fit_channel(
    cuts: Sequence[Cut], base: ChannelParameters, now: RecordArray, now_ms: int
) -> ChannelParameters:
    """The parameters by which the past of `cuts` tells best what became of sends and where people were met.

    `now`, `now_ms`: the records of the population and their instant, of which rates and shares are made. What there is
    too little of is left as it is in `base`.
    """
    fitted = base
    if sum(float(cut.touched.sum()) for cut in cuts) >= LEAST_TOUCHES:
        fitted = _fit_touches(cuts, fitted)
    if sum(len(cut.sends.row) for cut in cuts) >= LEAST_SENDS:
        fitted = _fit_sends(cuts, fitted)
    return refresh_rates(fitted, now, now_ms)


def refresh_rates(parameters: ChannelParameters, records: RecordArray, now_ms: int) -> ChannelParameters:
    """The same, with rates and shares of the population of `records` as it is now. Cheap: to be done daily."""
    return _populated(parameters, channel.known(records, parameters, now_ms))


def _populated(parameters: ChannelParameters, user: channel.Known) -> ChannelParameters:
    """With the shares and the rates of users of whom this is known.

    As long as nobody knows how often people answer on a channel, it is the default's level, in proportion to where they
    are met: then the channel on which somebody is met most is the one that is expected to be answered most.
    """
    touched = user.touched.sum(axis=1, keepdims=True)
    weight = np.minimum(1, MOST_TOUCHES / np.maximum(touched, MOST_TOUCHES))
    met = (user.touched * weight).sum(axis=0, dtype=np.float64) + PRIOR_TOUCHES / _C
    shares = met / met.sum()
    level = np.array(ChannelParameters().rates) * (_C * shares) ** parameters.touch
    sent, answered = user.sent.sum(axis=0, dtype=np.float64), user.answered.sum(axis=0, dtype=np.float64)
    rates = (answered + PRIOR_SENDS * level) / (sent + PRIOR_SENDS)
    return msgspec.structs.replace(parameters, rates=tuple(rates.tolist()), shares=tuple(shares.tolist()))


def _fit_touches(cuts: Sequence[Cut], base: ChannelParameters) -> ChannelParameters:
    """With how fast it is forgotten where somebody was met, and how far her own signs outweigh the population's."""

    def at(point: Point) -> ChannelParameters:
        mix = _MIXES[int(point["mix"])]
        return msgspec.structs.replace(
            base, touch_mix=mix, shrink_touch=point["shrink"], lasting=point["lasting"]
        )

    @lru_cache(maxsize=len(_MIXES))
    def known(mix: float) -> list[tuple[channel.Known, tuple[float, ...]]]:
        return [_of_cut(cut, at({"mix": mix, "shrink": 1.0, "lasting": 0.0})) for cut in cuts]

    def score(point: Point) -> float:
        told = signs = 0.0
        for cut, (user, shares) in zip(cuts, known(point["mix"]), strict=True):
            by = msgspec.structs.replace(at(point), shares=shares)
            weight = _weights(cut.touched)
            told += float((_told(channel.touch_shares(user, by), cut.touched) * weight).sum())
            signs += float((cut.touched.sum(axis=1) * weight).sum())
        return told / signs

    start = {
        "mix": _nearest(base.touch_mix),
        "shrink": base.shrink_touch,
        "lasting": base.lasting,
    }
    best, _ = climb(score, _TOUCH_GRIDS, start, gain=SURE)
    return at(best)


def _weights(touched: FloatArray) -> FloatArray:
    """What a sign of each user counts, [B]: nobody counts more than `MOST_TOUCHES`."""
    count = touched.sum(axis=1)
    return np.asarray(np.minimum(count, MOST_TOUCHES) / np.maximum(count, 1), np.float32)


def _told(shares: FloatArray, touched: FloatArray) -> FloatArray:
    """How well `shares` tell signs `touched`, [B]: those on the likeliest channel, and a little of the log score."""
    likeliest = np.take_along_axis(touched, shares.argmax(axis=1)[:, None], 1)[:, 0]
    return np.asarray(likeliest + LOG_SHARE * (np.log(shares) * touched).sum(axis=1), np.float32)


def _of_cut(cut: Cut, parameters: ChannelParameters) -> tuple[channel.Known, tuple[float, ...]]:
    """What was known of a cut's users, and the shares of their population."""
    user = channel.known(cut.records, parameters, cut.at_ms)
    return user, _populated(parameters, user).shares


def _fit_sends(cuts: Sequence[Cut], base: ChannelParameters) -> ChannelParameters:
    """With how fast answers are forgotten, and what rates of all and a user's own signs weigh against them."""

    def at(point: Point) -> ChannelParameters:
        return msgspec.structs.replace(
            base, mix=_MIXES[int(point["mix"])], strength=point["strength"], touch=point["touch"]
        )

    @lru_cache(maxsize=len(_MIXES))
    def known(mix: float) -> list[channel.Known]:
        by = msgspec.structs.replace(base, mix=_MIXES[int(mix)])
        return [channel.known(cut.records, by, cut.at_ms) for cut in cuts]

    def score(point: Point) -> float:
        total = sends = 0.0
        for cut, user in zip(cuts, known(point["mix"]), strict=True):
            sent = cut.sends
            rate = channel.rates(user, _populated(at(point), user))[sent.row, sent.channel]
            total += float(np.log(np.where(sent.answered, rate, 1 - rate)).sum())
            sends += len(sent.row)
        return total / sends

    start = {"mix": _nearest(base.mix), "strength": base.strength, "touch": base.touch}
    best, _ = climb(score, _SEND_GRIDS, start)
    return at(best)


def _nearest(mix: Sequence[float]) -> int:
    """The one of `_MIXES` nearest to a mix."""
    distance = np.abs(np.array(_MIXES) - np.array(mix)).sum(axis=1)
    return int(np.argmin(distance))
