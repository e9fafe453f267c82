"""Abrupt changes: whether they are noticed, whether the alarm cries wolf, and whether predictions follow.

A break is the month in which a surface that had next to nothing takes a tenth of what people do, after a year without
one. Whether a population has one is seen from the whole file; what the model and the alarm knew then is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from clarion.intelligence.training.drift import LATEST_DAYS, watch
from clarion.intelligence.training.evaluate.activity import Activity
from clarion.intelligence.training.evaluate.clustered import SEED, Share, share
from clarion.intelligence.training.evaluate.days import Column, channel_of
from clarion.intelligence.training.evaluate.walk import REFRESH_DAYS, Tell, fit_before, remember, walk_days
from clarion.intelligence.training.fit import refresh_population
from clarion.kernel.local_time import DAY_MS, IntArray

NOTHING: Final = 0.01
SUDDEN: Final = 0.10
QUIET_MONTHS: Final = 12
MONTH_DAYS: Final = 30
LATER_DAYS: Final = 120
"""Predictions are judged in the month that begins so long after the break."""

REFIT_DAYS: Final = 28
"""Days after which the model is fitted anew, on who is not judged. The trainer role does it every night."""

LEAST_SIGNS: Final = 100
SHUFFLED: Final = 200_000


@dataclass(frozen=True, slots=True)
class Break:
    """The first day (UTC ms) of a new surface, and which it is."""

    at_ms: int
    surface: int


@dataclass(frozen=True, slots=True)
class Recovery:
    """Shares of surfaces predicted rightly in the month that begins four months after a break."""

    model: Share
    stale: Share
    majority: Share


def find_break(activity: Activity) -> Break | None:
    """The first break of a population, None where it has none."""
    if len(activity.surfaces) < 2:  # noqa: PLR2004  with one surface there is nothing to change to
        return None
    month = (activity.at_ms - activity.at_ms[0]) // (MONTH_DAYS * DAY_MS)
    counts = _table(month, activity.surface, len(activity.surfaces))
    total = counts.sum(axis=1)
    shares = counts / np.maximum(total, 1)[:, None]
    for nth in range(QUIET_MONTHS, len(counts)):
        quiet = (counts[:nth].sum(axis=0) / max(int(total[:nth].sum()), 1)) < NOTHING
        new = np.flatnonzero(quiet & (shares[nth] >= SUDDEN))
        if len(new) and total[nth] >= LEAST_SIGNS:
            surface = int(new[0])
            return Break(_begins(activity, surface, nth), surface)
    return None


def _begins(activity: Activity, surface: int, month: int) -> int:
    """The first day of the first week in which a surface takes a tenth, of those that end in its month or later."""
    day = (activity.at_ms - activity.at_ms[0]) // DAY_MS
    counts = _table(day, activity.surface, len(activity.surfaces)).cumsum(axis=0)
    week = counts[LATEST_DAYS:] - counts[:-LATEST_DAYS]
    sudden = week[:, surface] >= SUDDEN * np.maximum(week.sum(axis=1), 1)
    first = month * MONTH_DAYS
    last = first + int(np.flatnonzero(sudden[first - LATEST_DAYS :])[0]) - LATEST_DAYS
    return int(activity.at_ms[0]) + (last + 1) * DAY_MS


def judge_recovery(activity: Activity, change: Break, tell: Tell) -> Recovery | None:
    """How the model does four months later, against itself without what came since; None where the file ends before."""
    begin_ms = change.at_ms + LATER_DAYS * DAY_MS
    end_ms = begin_ms + MONTH_DAYS * DAY_MS
    if end_ms > int(activity.at_ms[-1]):
        return None
    fitted = fit_before(activity, change.at_ms)
    memory = remember(activity, change.at_ms)
    stale_memory = remember(activity, change.at_ms)
    stale = model = refresh_population(fitted, memory.records, change.at_ms)
    person, right = Column(), {name: Column() for name in ("model", "stale", "majority")}
    totals = np.bincount(activity.surface[: activity.before(change.at_ms)] + 1, minlength=2)[1:]
    for nth, (day_ms, today) in enumerate(walk_days(activity, memory, change.at_ms, end_ms)):
        if nth % REFIT_DAYS == 0:
            model = fit_before(activity, day_ms)
        if nth % REFRESH_DAYS == 0:
            model = refresh_population(model, memory.records, day_ms)
            tell("recovery", (day_ms - change.at_ms) / (end_ms - change.at_ms))
        told = today[activity.judged[activity.person[today]] & (activity.surface[today] >= 0)]
        if day_ms < begin_ms or not len(told):
            continue
        people, row = np.unique(activity.person[told], return_inverse=True)
        users, surface = (people + 1).tolist(), activity.surface[told]
        person.add(people[row])
        right["model"].add(channel_of(memory.read(users, day_ms), model, day_ms)[row] == surface)
        frozen = stale_memory.read(users, change.at_ms)
        right["stale"].add(channel_of(frozen, stale, change.at_ms)[row] == surface)
        right["majority"].add(surface == int(totals.argmax()))
    who = person.read()
    shares = {name: share(who.astype(np.int64), column.read()) for name, column in right.items()}
    return Recovery(shares["model"], shares["stale"], shares["majority"])


def alarm_after(activity: Activity, change: Break) -> tuple[int | None, int]:
    """Days from a break to its alarm (None: there was none within half a year), and false alarms of the year before."""
    day = activity.at_ms // DAY_MS
    first = int(day[0])
    alarms = np.array(watch(_table(day - first, activity.surface, len(activity.surfaces))))
    at = change.at_ms // DAY_MS - first
    before = alarms[max(at - 365, 0) : at]
    after = np.flatnonzero(alarms[at : at + 180])
    return (int(after[0]) + 1 if len(after) else None), int(np.count_nonzero(before))


def false_alarms(activity: Activity) -> tuple[int, int]:
    """Days with an alarm of surfaces or hours where nothing changes (signs shuffled over time), and how many signs."""
    count = min(len(activity), SHUFFLED)
    order = np.random.default_rng(SEED).permutation(len(activity))[:count]
    day = np.sort(activity.at_ms[order]) // DAY_MS
    day -= day[0]
    found = watch(_table(day, activity.hour[order] % 24, 24))
    alarms = sum(found)
    if activity.surfaces:
        alarms += sum(watch(_table(day, activity.surface[order], len(activity.surfaces))))
    return alarms, count


def _table(row: IntArray, column: IntArray, columns: int) -> npt.NDArray[np.int64]:
    """Counts by row and column; what has no column (-1) is left out."""
    chosen = column >= 0
    cell = row[chosen] * columns + column[chosen]
    rows = int(row.max()) + 1
    return np.bincount(cell, minlength=rows * columns).reshape(rows, columns)
