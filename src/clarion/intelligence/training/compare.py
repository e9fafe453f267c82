"""A candidate against the model that serves, on time that neither was fitted on.

Both say of the same people what they will do, and the difference of what they were worth is taken person by person, so
that what is hard about a person cancels out. Its interval is over people.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.intelligence.models import TenantModel, channel, send_time
from clarion.intelligence.models.registered import Band, Figure
from clarion.intelligence.training.calibration import bands_of
from clarion.intelligence.training.cuts import Cut

FloatArray = npt.NDArray[np.float64]
Verdict: TypeAlias = Literal["better", "no worse", "worse", "too little"]

LEAST_PEOPLE: Final = 30
"""People without whom nothing is concluded."""

Z95: Final = 1.959964
HOURS: Final = "log score of hours"
HIT: Final = "share of hours within an hour of the best"
CHANNELS_MET: Final = "log score of channels where people were met"
ANSWERS: Final = "log score of answers to sends"


class Compared(NamedTuple):
    """Figures by name, and the share of future hours inside the candidate's 70 % sets (None: too few people).

    `calibration`: of the candidate's hours, () with too few people.
    """

    figures: dict[str, Figure]
    coverage: float | None
    calibration: tuple[Band, ...] = ()


def compare_models(candidate: TenantModel, incumbent: TenantModel, cut: Cut) -> Compared:
    """How both do on the future of a cut that came after all that the candidate was fitted on. Pure."""
    figures: dict[str, Figure] = {}
    future = cut.presence
    there = np.flatnonzero(future.any(axis=(1, 2)))
    coverage: float | None = None
    calibration: tuple[Band, ...] = ()
    if len(there) >= LEAST_PEOPLE:
        told = [_hours_told(model, cut, there) for model in (candidate, incumbent)]
        figures[HOURS] = figure_of(told[0][0], told[1][0])
        figures[HIT] = figure_of(told[0][1], told[1][1])
        coverage = _coverage(candidate, cut, there)
        calibration = bands_of(candidate, cut, there)
    met = np.flatnonzero(cut.touched.any(axis=1))
    if len(met) >= LEAST_PEOPLE:
        figures[CHANNELS_MET] = figure_of(
            *(_channels_told(model, cut, met) for model in (candidate, incumbent))
        )
    asked = np.unique(cut.sends.row)
    if len(asked) >= LEAST_PEOPLE:
        figures[ANSWERS] = figure_of(*(_answers_told(model, cut, asked) for model in (candidate, incumbent)))
    return Compared(figures, coverage, calibration)


def judge(figures: dict[str, Figure], names: tuple[str, ...] = (HOURS, CHANNELS_MET, ANSWERS)) -> Verdict:
    """`worse` if any of these figures surely is; else `better` if any surely is; else `no worse`."""
    found = [figures[name] for name in names if name in figures]
    if not found:
        return "too little"
    if any(figure.high < 0 for figure in found):
        return "worse"
    return "better" if any(figure.low > 0 for figure in found) else "no worse"


def _hours_told(model: TenantModel, cut: Cut, rows: npt.NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
    """By person: the mean logarithm of what was given to the hours of her future, and the hits of the best hour."""
    future = cut.presence[rows].astype(np.float64)
    curves = send_time.curves(cut.records[rows], model.send_time, cut.at_ms)
    total = future.sum(axis=(1, 2))
    score = (np.log(curves / send_time.HOURS) * future).sum(axis=(1, 2)) / total
    best = send_time.best_hour(curves, model.send_time)
    by_hour = future.sum(axis=1)
    near = sum(
        np.take_along_axis(by_hour, ((best + shift) % send_time.HOURS)[:, None], 1)[:, 0]
        for shift in (-1, 0, 1)
    )
    return score.astype(np.float64), np.asarray(near / total, np.float64)


def _coverage(model: TenantModel, cut: Cut, rows: npt.NDArray[np.intp]) -> float:
    counted = send_time.presence(cut.records[rows], model.send_time.mix, cut.at_ms)
    curves = send_time.posterior(counted, model.send_time)
    certain = send_time.certainty(counted, model.send_time)
    inside = send_time.likely_hours(curves, certain, model.send_time)
    future = cut.presence[rows]
    return float(future[inside].sum() / future.sum())


def _channels_told(model: TenantModel, cut: Cut, rows: npt.NDArray[np.intp]) -> FloatArray:
    user = channel.known(cut.records[rows], model.channel, cut.at_ms)
    shares = channel.touch_shares(user, model.channel)
    touched = cut.touched[rows].astype(np.float64)
    return np.asarray((np.log(shares) * touched).sum(axis=1) / touched.sum(axis=1), np.float64)


def _answers_told(model: TenantModel, cut: Cut, rows: npt.NDArray[np.intp]) -> FloatArray:
    sends = cut.sends
    records = cut.records[rows]
    place = np.searchsorted(rows, sends.row)
    user = channel.known(records, model.channel, cut.at_ms)
    rate = channel.rates(user, model.channel)[place, sends.channel].astype(np.float64)
    curves = send_time.curves(records, model.send_time, cut.at_ms)
    times = send_time.answer_odds(records, curves, model.send_time, cut.at_ms)
    added = send_time.added_by_message(model.send_time, sends.channel, sends.class_, sends.hour)
    odds = rate / (1 - rate) * times[place, sends.day_type, sends.hour] * np.exp(added)
    chance = np.clip(odds / (1 + odds), 1e-4, 1 - 1e-4)
    told = np.log(np.where(sends.answered, chance, 1 - chance))
    return np.bincount(place, weights=told) / np.bincount(place)


def figure_of(candidate: FloatArray, incumbent: FloatArray) -> Figure:
    """Means over people [N] of what two models were worth, and the interval of their difference."""
    gain = candidate - incumbent
    middle, spread = float(gain.mean()), Z95 * float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return Figure(
        round(float(candidate.mean()), 5),
        round(float(incumbent.mean()), 5),
        round(middle - spread, 6),
        round(middle + spread, 6),
        len(gain),
    )
