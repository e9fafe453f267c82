"""Does the predicted hour lie in the hours that somebody will use? Judged half a year at a time.

At each cut: who is there in at least `LEAST_HOURS` distinct hours of the horizon after it has a window of her own, the
smallest set of hours that holds half of it. Nothing that the model knows at the cut came after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.features.history import Memory
from clarion.intelligence.models import TenantModel, send_time
from clarion.intelligence.training.evaluate.activity import Activity
from clarion.intelligence.training.evaluate.walk import Tell
from clarion.intelligence.training.evaluate.windows import density, smallest_set
from clarion.intelligence.training.fit import refresh_population
from clarion.kernel.local_time import DAY_MS, HOUR_MS, IntArray

BoolArray = npt.NDArray[np.bool_]

HORIZON_MS: Final = 180 * DAY_MS
LEAST_HORIZON_MS: Final = 28 * DAY_MS
LEAST_HOURS: Final = 20
_HOURS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """N periods of judged people.

    `person`, `past` [N]: who, and in how many distinct hours she was there before the cut. `inside` by the name of who
    predicted, [N]: whether the hour lies in her window; of `random`, its chance. `literal`: the same for the model,
    with the window of the bare counts. `size` [N]: hours of the window. `horizon_d`: days after a cut.
    """

    person: IntArray
    past: IntArray
    inside: dict[str, npt.NDArray[np.float64]]
    literal: dict[str, npt.NDArray[np.float64]]
    size: IntArray
    horizon_d: float


@dataclass(frozen=True, slots=True, eq=False)
class _Hours:
    """Distinct (person, local hour) pairs by rising time."""

    person: IntArray
    at_ms: IntArray
    hour: IntArray

    def counted(self, begin: int, end: int, people: int) -> IntArray:
        """By person, how many of her hours of a stretch were which hour of the day, [people, 24]."""
        cell = self.person[begin:end] * _HOURS + self.hour[begin:end] % _HOURS
        return np.bincount(cell, minlength=people * _HOURS).reshape(people, _HOURS)


def judge_habits(activity: Activity, model: TenantModel, from_ms: int, tell: Tell) -> Habits | None:
    """The periods after `from_ms`; None where what follows is shorter than four weeks."""
    end_ms = int(activity.at_ms[-1])
    horizon_ms = min(HORIZON_MS, end_ms - from_ms)
    if horizon_ms < LEAST_HORIZON_MS:
        return None
    hours = _distinct(activity)
    memory, done = Memory(), 0
    parts: list[Habits] = []
    for cut_ms in range(from_ms, end_ms - horizon_ms + 1, horizon_ms):
        until = activity.before(cut_ms)
        memory.take(activity.signs(np.arange(done, until)))
        done = until
        at_cut = refresh_population(model, memory.records, cut_ms)
        parts.append(_judge_cut(activity, hours, memory, at_cut, (cut_ms, horizon_ms)))
        tell("habits", (cut_ms + horizon_ms - from_ms) / (end_ms - from_ms))
    tell("habits", 1.0)
    return _joined(parts)


def _distinct(activity: Activity) -> _Hours:
    hour = activity.hour
    _, first = np.unique(np.stack((activity.person, hour)), axis=1, return_index=True)
    first.sort()
    return _Hours(activity.person[first], activity.at_ms[first], hour[first])


def _judge_cut(
    activity: Activity, hours: _Hours, memory: Memory, model: TenantModel, cut: tuple[int, int]
) -> Habits:
    cut_ms, horizon_ms = cut
    begin, end = np.searchsorted(hours.at_ms, [cut_ms, cut_ms + horizon_ms]).tolist()
    future = hours.counted(begin, end, activity.people)
    who = np.flatnonzero((future.sum(axis=1) >= LEAST_HOURS) & activity.judged)
    past = hours.counted(0, begin, activity.people)
    predicted = _predictions(activity, memory, model, (who, past), (cut_ms, begin))
    window, bare = smallest_set(density(future[who])), smallest_set(future[who])
    rows = np.arange(len(who))
    return Habits(
        person=who,
        past=past[who].sum(axis=1),
        inside={
            "random": window.mean(axis=1),
            **{name: window[rows, hour].astype(np.float64) for name, hour in predicted.items()},
        },
        literal={
            "random": bare.mean(axis=1),
            **{name: bare[rows, hour].astype(np.float64) for name, hour in predicted.items()},
        },
        size=window.sum(axis=1),
        horizon_d=horizon_ms / DAY_MS,
    )


def _predictions(
    activity: Activity,
    memory: Memory,
    model: TenantModel,
    of: tuple[IntArray, IntArray],
    at: tuple[int, int],
) -> dict[str, IntArray]:
    """The hour that the model and each trivial baseline name for people, of what came before the cut."""
    (who, past), (cut_ms, _) = of, at
    records = memory.read((who + 1).tolist(), cut_ms)
    hour = send_time.best_hour(send_time.curves(records, model.send_time, cut_ms), model.send_time)
    crowd = past.sum(axis=0)
    known = past[who].sum(axis=1) > 0
    best_of_crowd = np.full(len(who), int(crowd.argmax()))
    until = activity.before(cut_ms)
    utc = np.bincount((activity.at_ms[:until] // HOUR_MS) % _HOURS, minlength=_HOURS).argmax()
    return {
        "model": hour,
        "global local": best_of_crowd,
        "global UTC": (int(utc) + _latest_offset_h(activity, until)[who]) % _HOURS,
        "raw history": np.where(known, past[who].argmax(axis=1), best_of_crowd),
    }


def _latest_offset_h(activity: Activity, until: int) -> IntArray:
    """By person, whole hours that her clock was ahead when she was last seen; of a stranger, when she first is."""
    offset = np.zeros(activity.people, np.int64)
    later = slice(None, until - 1 if until else None, -1)
    offset[activity.person[later]] = activity.offset_ms[later]
    offset[activity.person[:until]] = activity.offset_ms[:until]
    return offset // HOUR_MS


def _joined(parts: list[Habits]) -> Habits:
    names = parts[0].inside
    return Habits(
        person=np.concatenate([part.person for part in parts]),
        past=np.concatenate([part.past for part in parts]),
        inside={name: np.concatenate([part.inside[name] for part in parts]) for name in names},
        literal={name: np.concatenate([part.literal[name] for part in parts]) for name in names},
        size=np.concatenate([part.size for part in parts]),
        horizon_d=parts[0].horizon_d,
    )
