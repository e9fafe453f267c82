"""Walking through history a day at a time: what was known before each day, by the code that serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import numpy as np

from clarion.intelligence.features.history import Memory
from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.training.cuts import cut, cut_times
from clarion.intelligence.training.evaluate.activity import Activity
from clarion.intelligence.training.fit import fit_likely_hours, fit_times_and_channels
from clarion.kernel.local_time import DAY_MS, IntArray

REFRESH_DAYS: Final = 7
"""Days after which the population's curves and shares are taken anew. The trainer role does it every night."""

LEAST_HISTORY_MS: Final = 12 * DAY_MS
"""Shorter histories cannot be cut into a past and a future: the defaults serve."""


class Tell(Protocol):
    """Who hears how far it is."""

    def __call__(self, phase: str, share: float) -> None:
        """A phase by its name, and how much of it is done, 0 to 1."""
        ...


def remember(activity: Activity, before_ms: int) -> Memory:
    """What was known of everybody before an instant."""
    memory = Memory()
    memory.take(activity.signs(np.arange(activity.before(before_ms))))
    return memory


def tuning_before(activity: Activity, before_ms: int) -> IntArray:
    """Places of the signs before an instant of people who are not judged: models are tuned on them."""
    return np.flatnonzero(~activity.judged[activity.person[: activity.before(before_ms)]])


def fit_before(activity: Activity, before_ms: int) -> TenantModel:
    """The model that is fitted on who is not judged, on nothing that came after an instant."""
    tuning = tuning_before(activity, before_ms)
    if not len(tuning) or before_ms - int(activity.at_ms[tuning[0]]) < LEAST_HISTORY_MS:
        return DEFAULTS
    signs = activity.signs(tuning)
    times, horizon_ms = cut_times(int(signs.at_ms[0]), before_ms)
    memory = Memory()
    memory.take(signs)
    model = fit_times_and_channels(cut(signs, times, horizon_ms), DEFAULTS, memory.records, before_ms)
    return fit_likely_hours(model, signs, before_ms)


def walk_days(activity: Activity, memory: Memory, from_ms: int, to_ms: int) -> Iterator[tuple[int, IntArray]]:
    """Each day (24 h from `from_ms` on) with the places of its signs; the memory knows what came before the day.

    It learns of a day when the next one is asked for: predict strictly before update.
    """
    for day_ms in range(from_ms, to_ms, DAY_MS):
        today = np.arange(activity.before(day_ms), activity.before(min(day_ms + DAY_MS, to_ms)))
        yield day_ms, today
        if len(today):
            memory.take(activity.signs(today))
