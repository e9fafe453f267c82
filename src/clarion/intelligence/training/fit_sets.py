"""Fitting the sets of hours that hold 70 % of what people do: by how the hours ranked in which they then were.

The rank of an hour is the predicted mass of the hours that were likelier. A set of mass m holds the hours of a rank
below m, so that the 70 % quantile of lately seen ranks is the mass whose sets held 70 % of them: split conformal
prediction (Vovk, Gammerman and Shafer, 2005). What is older counts less, because people change (weights as in Barber,
Candès, Ramdas and Tibshirani, "Conformal prediction beyond exchangeability", 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.fold import fold
from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import SendTimeParameters, send_time
from clarion.intelligence.training.cuts import count_presence, some_users
from clarion.intelligence.training.fit_send_time import refresh_curves
from clarion.kernel.local_time import DAY_MS

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

WEEKS: Final = 26
"""Latest weeks of a history that are looked at."""

HALF_LIFE_WEEKS: Final = 8.0
PRIOR_HOURS: Final = 300.0
"""Hours by whose worth the default's masses count beside what was seen."""

_WEEK_MS: Final = 7 * DAY_MS
_TARGET: Final = 0.7
_BINS: Final = 1_000
_GROUPS: Final = 2
"""Those of whom little, and of whom much is known: a curve that is shrunk to the crowd's is broader than the person."""

_HALF: Final = 0.5
_MASSES: Final = (0.4, 0.95)


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """How hours ranked, by what was known of their people.

    `counts` [2, bins]: hours by rank, of people of whom little and of whom much was known; `certain` [2]: how much of
    each hour's person was known, summed.
    """

    counts: DoubleArray
    certain: DoubleArray

    def and_then(self, later: Ranks, weeks: float) -> Ranks:
        """These, as they weigh `weeks` later, with those that were seen since."""
        left = 0.5 ** (weeks / HALF_LIFE_WEEKS)
        return Ranks(self.counts * left + later.counts, self.certain * left + later.certain)


def no_ranks() -> Ranks:
    """Nothing was seen."""
    return Ranks(np.zeros((_GROUPS, _BINS)), np.zeros(_GROUPS))


def rank_hours(records: RecordArray, hours: FloatArray, parameters: SendTimeParameters, at_ms: int) -> Ranks:
    """How the hours [B, 2, 24] in which users then were rank by what was known of them at `at_ms`."""
    counted = send_time.presence(records, parameters.mix, at_ms)
    certain = send_time.certainty(counted, parameters)
    rank = send_time.mass_before(send_time.posterior(counted, parameters))
    group = (certain >= _HALF).astype(np.intp)
    place = group[:, None, None] * _BINS + np.minimum(rank * _BINS, _BINS - 1).astype(np.intp)
    counts = np.bincount(place.ravel(), hours.ravel(), _GROUPS * _BINS)
    weighed = np.bincount(group, certain * hours.sum(axis=(1, 2)), _GROUPS)
    return Ranks(counts.reshape(_GROUPS, _BINS).astype(np.float64), weighed.astype(np.float64))


def rank_weeks(signs: Signs, parameters: SendTimeParameters, until_ms: int) -> Ranks:
    """How the hours of the last `WEEKS` weeks before `until_ms` ranked, each week by what was known before it.

    `signs`: the whole history; what comes later is not looked at. Of many users, as many as in cuts.
    """
    users = some_users(np.unique(signs.user_id))
    signs = signs.where(np.isin(signs.user_id, users) & (signs.at_ms < until_ms))
    ordered = signs.where(np.argsort(signs.at_ms, kind="stable"))
    starts = range(until_ms - WEEKS * _WEEK_MS, until_ms + 1, _WEEK_MS)
    bounds: list[int] = np.searchsorted(ordered.at_ms, starts).tolist()
    records = fold(empty_records(users.tolist()), ordered.where(np.arange(bounds[0])))
    ranks = no_ranks()
    for start_ms, begin, end in zip(starts, bounds, bounds[1:], strict=False):
        week = ordered.where(np.arange(begin, end))
        row = np.searchsorted(users, week.user_id)
        there, place = np.unique(row, return_inverse=True)
        known = refresh_curves(parameters, records, start_ms)
        hours = count_presence(place, week, len(there))
        ranks = ranks.and_then(rank_hours(records[there], hours, known, start_ms), 1)
        records[there] = fold(records[there], week)
    return ranks


def fit_sets(ranks: Ranks, parameters: SendTimeParameters) -> SendTimeParameters:
    """The same, with the masses of predicted hours whose sets hold 70 % of what is seen.

    Found for those of whom little and of whom much is known, apart, and laid on a line by how much that is.
    """
    default = SendTimeParameters()
    seen = ranks.counts.sum(axis=1)
    points: list[tuple[float, float]] = []
    for group, usual in enumerate((default.set_mass, default.set_mass_known)):
        if seen[group] > 0:
            below: DoubleArray = ranks.counts[group].cumsum()
            mass = (int(np.searchsorted(below, _TARGET * float(below[-1]))) + 1) / _BINS
            trust = seen[group] / (seen[group] + PRIOR_HOURS)
            points.append((ranks.certain[group] / seen[group], trust * mass + (1 - trust) * usual))
    if not points:
        return parameters
    (low, unknown), (high, known) = points[0], points[-1]
    slope = (known - unknown) / (high - low) if high > low else 0.0
    unknown, known = np.clip((unknown - slope * low, unknown + slope * (1 - low)), *_MASSES).tolist()
    return msgspec.structs.replace(parameters, set_mass=round(unknown, 4), set_mass_known=round(known, 4))
