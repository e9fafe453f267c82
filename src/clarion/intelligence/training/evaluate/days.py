"""Day by day: the set of likely hours, strangers on their first day, and the surface that somebody comes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from clarion.intelligence.features.history import Memory
from clarion.intelligence.features.record import RecordArray
from clarion.intelligence.models import TenantModel, channel, send_time
from clarion.intelligence.training.cuts import count_presence
from clarion.intelligence.training.evaluate.activity import Activity
from clarion.intelligence.training.evaluate.walk import (
    REFRESH_DAYS,
    Tell,
    remember,
    tuning_before,
    walk_days,
)
from clarion.intelligence.training.evaluate.windows import best_window, fixed_window
from clarion.intelligence.training.fit import refresh_population, refresh_regions
from clarion.intelligence.training.fit_sets import Ranks, fit_sets, no_ranks, rank_hours, rank_weeks
from clarion.kernel.local_time import HOUR_MS, IntArray

BoolArray = npt.NDArray[np.bool_]

WINDOWS_H: Final = (3, 6)
"""Lengths of the windows in which strangers are awaited."""

REGIONS_DAYS: Final = 28
"""Days after which the curves of parts of the world are taken anew: it takes all of history each time."""

_HOURS: Final = 24
_MONDAY: Final = 3
_SATURDAY: Final = 5
_NINE: Final = 9
_NIGHT_ENDS: Final = 4
_A_DAY: Final = 1 / 7
"""In weeks."""


class Column:
    """An array that is written in parts."""

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.float64]] = []

    def add(self, values: npt.NDArray[np.generic]) -> None:
        """Write one more part."""
        self._parts.append(values.astype(np.float64))

    def read(self) -> npt.NDArray[np.float64]:
        """All parts, one after another."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0)


@dataclass
class Days:
    """What the days said, of judged people. Columns of one group are of one length.

    `hour_*`: one entry a (person, local hour) of a day; `day_*`: one a (person, day type) of a day, her set's size;
    `surface_*`: one a sign on a surface; `first_*`: one a (person, local hour) of her first day, by window.
    """

    hour_person: Column = field(default_factory=Column)
    hour_inside: dict[str, Column] = field(default_factory=lambda: _columns("model", "global local"))
    day_person: Column = field(default_factory=Column)
    day_size: dict[str, Column] = field(default_factory=lambda: _columns("model", "global local"))
    surface_person: Column = field(default_factory=Column)
    surface_past: Column = field(default_factory=Column)
    surface_right: dict[str, Column] = field(
        default_factory=lambda: _columns("model", "majority", "last used")
    )
    first_person: Column = field(default_factory=Column)
    first_inside: dict[str, Column] = field(
        default_factory=lambda: _columns(
            *(
                f"{name} {length}"
                for length in WINDOWS_H
                for name in ("model", "random", "global UTC", "09:00")
            )
        )
    )


@dataclass(frozen=True, slots=True, eq=False)
class FirstDays:
    """The distinct local hours [N] of each person's first day, which goes from 04:00 to 04:00 of her own clock.

    `ends` [people + 1]: where the hours of each begin and end. `offset_h` [people]: whole hours that a clock was ahead.
    """

    hours: IntArray
    ends: IntArray
    offset_h: IntArray

    def of(self, people: IntArray) -> tuple[IntArray, IntArray]:
        """The hours of some people: for each hour the index among `people`, and the hour."""
        counts = self.ends[people + 1] - self.ends[people]
        row = np.repeat(np.arange(len(people)), counts)
        first = np.repeat(self.ends[people] - (counts.cumsum() - counts), counts)
        return row, self.hours[first + np.arange(len(row))]


def first_days(activity: Activity) -> FirstDays:
    """The first day of everybody."""
    _, first = np.unique(activity.person, return_index=True)
    day = (activity.hour - _NIGHT_ENDS) // _HOURS
    is_first = day == day[first][activity.person]
    person, hours = np.unique(np.stack((activity.person[is_first], activity.hour[is_first])), axis=1)
    ends = np.searchsorted(person, np.arange(activity.people + 1))
    return FirstDays(hours, ends, activity.offset_ms[first] // HOUR_MS)


@dataclass(frozen=True, eq=False)
class _Past:
    """What the trivial baselines know: signs and the latest surface of each person, and all signs by surface.

    `first`: what is not known yet when it is judged.
    """

    first: FirstDays
    seen: IntArray
    latest: IntArray
    surfaces: IntArray
    utc: IntArray

    def take(self, activity: Activity, places: IntArray) -> None:
        """Learn of signs, in the order of time."""
        person, surface = activity.person[places], activity.surface[places]
        np.add.at(self.seen, person, 1)
        told = surface >= 0
        self.latest[person[told]] = surface[told]
        np.add.at(self.surfaces, surface[told], 1)
        np.add.at(self.utc, (activity.at_ms[places] // HOUR_MS) % _HOURS, 1)


def judge_days(activity: Activity, model: TenantModel, from_ms: int, tell: Tell) -> Days:
    """What every day from `from_ms` on says, each predicted by what came before it."""
    days, memory = Days(), remember(activity, from_ms)
    past = _Past(
        first_days(activity),
        np.zeros(activity.people, np.int64),
        np.full(activity.people, -1, np.int64),
        np.zeros(max(len(activity.surfaces), 1), np.int64),
        np.zeros(_HOURS, np.int64),
    )
    past.take(activity, np.arange(activity.before(from_ms)))
    end_ms = int(activity.at_ms[-1]) + 1
    ranks = rank_weeks(activity.signs(tuning_before(activity, from_ms)), model.send_time, from_ms)
    for nth, (day_ms, today) in enumerate(walk_days(activity, memory, from_ms, end_ms)):
        if nth % REFRESH_DAYS == 0:
            model = _refreshed(model, memory, ranks, day_ms)
        if nth % REGIONS_DAYS == 0:
            model = refresh_regions(model, activity.signs(np.arange(activity.before(day_ms))), day_ms)
            tell("days", (day_ms - from_ms) / (end_ms - from_ms))
        judged = activity.judged[activity.person[today]]
        if judged.any():
            _judge_day(days, activity, today[judged], (model, memory, past), day_ms)
        ranks = ranks.and_then(_rank_day(activity, today[~judged], (model, memory), day_ms), _A_DAY)
        past.take(activity, today)
    tell("days", 1.0)
    return days


def _refreshed(model: TenantModel, memory: Memory, ranks: Ranks, now_ms: int) -> TenantModel:
    """The model as the trainer keeps it: the population of now, and sets of hours that held what they had to."""
    fresh = refresh_population(model, memory.records, now_ms)
    return replace(fresh, send_time=fit_sets(ranks, fresh.send_time))


def _rank_day(activity: Activity, places: IntArray, by: tuple[TenantModel, Memory], day_ms: int) -> Ranks:
    """How the hours of a day ranked of people on whom models are tuned."""
    if not len(places):
        return no_ranks()
    model, memory = by
    people, row = np.unique(activity.person[places], return_inverse=True)
    hours = count_presence(row, activity.signs(places), len(people))
    return rank_hours(memory.read((people + 1).tolist(), day_ms), hours, model.send_time, day_ms)


def _judge_day(
    days: Days,
    activity: Activity,
    places: IntArray,
    known: tuple[TenantModel, Memory, _Past],
    day_ms: int,
) -> None:
    model, memory, past = known
    people, row = np.unique(activity.person[places], return_inverse=True)
    records = memory.read((people + 1).tolist(), day_ms)
    hours = np.unique(np.stack((row, activity.hour[places])), axis=1)
    _judge_sets(days, people, hours, records, (model, day_ms))
    _judge_surfaces(days, activity, places, (channel_of(records, model, day_ms)[row], past))
    strangers = people[past.seen[people] == 0]
    if len(strangers):
        _judge_strangers(days, strangers, past, model)


def channel_of(records: RecordArray, model: TenantModel, now_ms: int) -> IntArray:
    """The channel on which the model expects each person most, [B]."""
    user = channel.known(records, model.channel, now_ms)
    return channel.rates(user, model.channel).argmax(axis=1)


def _judge_sets(
    days: Days, people: IntArray, hours: IntArray, records: RecordArray, by: tuple[TenantModel, int]
) -> None:
    model, day_ms = by
    counted = send_time.presence(records, model.send_time.mix, day_ms)
    curves = send_time.posterior(counted, model.send_time)
    certain = send_time.certainty(counted, model.send_time)
    likely = send_time.likely_hours(curves, certain, model.send_time)
    crowd = send_time.hour_set(send_time.population_curves(model.send_time), 0.7)
    row, local = hours
    day_type = _day_type(local)
    days.hour_person.add(people[row])
    days.hour_inside["model"].add(likely[row, day_type, local % _HOURS])
    days.hour_inside["global local"].add(crowd[day_type, local % _HOURS])
    row, day_type = np.unique(np.stack((row, day_type)), axis=1)
    days.day_person.add(people[row])
    days.day_size["model"].add(likely[row, day_type].sum(axis=1))
    days.day_size["global local"].add(crowd[day_type].sum(axis=1))


def _judge_surfaces(days: Days, activity: Activity, places: IntArray, known: tuple[IntArray, _Past]) -> None:
    expected, past = known
    told = activity.surface[places] >= 0
    person, surface = activity.person[places[told]], activity.surface[places[told]]
    majority = int(past.surfaces.argmax())
    latest = past.latest[person]
    days.surface_person.add(person)
    days.surface_past.add(past.seen[person])
    days.surface_right["model"].add(expected[told] == surface)
    days.surface_right["majority"].add(surface == majority)
    days.surface_right["last used"].add(np.where(latest >= 0, latest, majority) == surface)


def _judge_strangers(days: Days, people: IntArray, past: _Past, model: TenantModel) -> None:
    row, local = past.first.of(people)
    day_type, hour = _day_type(local), local % _HOURS
    curves = send_time.region_curves(model.send_time)
    region = send_time.region_of(past.first.offset_h[people])[row]
    days.first_person.add(people[row])
    answers: Mapping[str, Column] = days.first_inside
    for length in WINDOWS_H:
        windows = np.stack([[best_window(curve, length) for curve in by_type] for by_type in curves])
        at_utc = best_window(past.utc, length)
        answers[f"model {length}"].add(windows[region, day_type, hour])
        answers[f"random {length}"].add(np.full(len(row), length / _HOURS))
        answers[f"global UTC {length}"].add(at_utc[(hour - past.first.offset_h[people][row]) % _HOURS])
        answers[f"09:00 {length}"].add(fixed_window(_NINE, length)[hour])


def _day_type(local_hour: IntArray) -> IntArray:
    """0 from Monday to Friday, of local hours since 1970."""
    weekday: IntArray = (local_hour // _HOURS + _MONDAY) % 7
    return (weekday >= _SATURDAY).astype(np.int64)


def _columns(*names: str) -> dict[str, Column]:
    return {name: Column() for name in names}
