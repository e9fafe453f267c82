"""What was judged, as rows: each figure with its interval, what it has to reach, and what needs no model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from clarion.intelligence.training.evaluate.breaks import Recovery
from clarion.intelligence.training.evaluate.clustered import Share, share
from clarion.intelligence.training.evaluate.days import WINDOWS_H, Days
from clarion.intelligence.training.evaluate.habits import Habits
from clarion.kernel.local_time import IntArray

Chosen = npt.NDArray[np.bool_]

BUCKETS: Final[dict[str, Callable[[IntArray], Chosen]]] = {
    "all": lambda past: past >= 0,
    "20 past hours and more": lambda past: past >= 20,  # noqa: PLR2004  the bucket's own bounds, here and below
    "6 to 19": lambda past: (past >= 6) & (past < 20),  # noqa: PLR2004
    "1 to 5": lambda past: (past >= 1) & (past < 6),  # noqa: PLR2004
    "nothing": lambda past: past == 0,
}
"""How much was known of somebody: distinct active hours, or signs."""

_FULL: Final = "20 past hours and more"
_OVER_GLOBAL: Final = 12.0
_SET: Final = (68.0, 72.0)
_OVER_STALE: Final = 7.0
_LATE_ALARM_D: Final = 14.0

_HIT_FLOORS: Final = {_FULL: (72.0, 77.0), "all": (68.0, 71.0)}
_FIRST_FLOORS: Final = {3: (22.0, 23.5), 6: (41.0, 42.5)}


class Row(msgspec.Struct, frozen=True):
    """One figure. `low`, `high`: its interval of 95 % over people. `ok`: whether it is where it has to be.

    `floor`: the least (of sizes, delays and alarms: the most) that it has to reach, None where nothing is asked of it;
    `aim`: what would be good. `baseline`: the trivial way that has to be beaten, as a figure of the same kind, and
    `baseline_is` which. `unit`: of all of them. None where a file cannot tell; `note` says why.
    """

    what: str
    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    baseline: float | None = None
    ok: bool | None = None
    unit: str = "%"
    aim: float | None = None
    baseline_is: str = ""
    people: int = 0
    answers: int = 0
    note: str = ""


def rows_of_habits(habits: Habits | None) -> Iterator[Row]:
    """The predicted hour in people's own windows, by what was known of them; then what needs no model."""
    if habits is None:
        yield Row("predicted hour in own future window", None, note="less than four weeks follow the split")
        return
    note = f"windows of the {habits.horizon_d:.0f} days after each cut"
    for bucket, choose in BUCKETS.items():
        chosen = choose(habits.past)
        shares = {
            name: share(habits.person[chosen], inside[chosen]) for name, inside in habits.inside.items()
        }
        floor, aim = _HIT_FLOORS.get(bucket, (None, None))
        over = _OVER_GLOBAL if bucket == _FULL else 0.0
        hit = _row(
            f"predicted hour in own future window: {bucket}",
            shares["model"],
            ("global local", shares["global local"]),
            (floor, aim),
            ok=_reaches(shares["model"], floor, shares["global local"], over),
        )
        yield replace(hit, note=note)
        for name in ("random", "global UTC", "global local", "raw history"):
            yield _row(f"predicted hour in own future window: {bucket}: by {name}", shares[name])
    size = share(habits.person, habits.size, 1.0)
    yield replace(
        _row("hours in people's own windows", size), unit="h", note="of the density, smoothed by 1 h"
    )
    for name, inside in habits.literal.items():
        bare = _row(
            f"predicted hour in own future window of bare counts: by {name}", share(habits.person, inside)
        )
        yield replace(bare, note="the same without smoothing: hours that happened to be empty are outside")


def rows_of_days(days: Days) -> Iterator[Row]:
    """The 70 % set, strangers, and surfaces."""
    yield from _rows_of_sets(days)
    person = days.first_person.read().astype(np.int64)
    for length in WINDOWS_H:
        shares = {
            name: share(person, days.first_inside[f"{name} {length}"].read())
            for name in ("model", "random", "global UTC", "09:00")
        }
        floor, aim = _FIRST_FLOORS[length]
        utc = shares["global UTC"]
        ok = _reaches(shares["model"], floor, utc, 0.0)
        what = f"first day of a stranger in a window of {length} h"
        yield _row(what, shares["model"], ("global UTC", utc), (floor, aim), ok=ok)
        for name in ("random", "global UTC", "09:00"):
            yield _row(f"{what}: by {name}", shares[name])
    yield from _rows_of_surfaces(days)


def _rows_of_sets(days: Days) -> Iterator[Row]:
    person = days.hour_person.read().astype(np.int64)
    covered = {name: share(person, column.read()) for name, column in days.hour_inside.items()}
    of_day = days.day_person.read().astype(np.int64)
    sizes = {name: share(of_day, column.read(), 1.0) for name, column in days.day_size.items()}
    value = covered["model"].value
    within = None if value is None else _SET[0] <= value <= _SET[1]
    inside = _row(
        "70 % set: share of the next day's hours inside",
        covered["model"],
        ("global local", covered["global local"]),
        (_SET[0], None),
        ok=within,
    )
    yield replace(inside, note="calibrated between 68 and 72 %")
    small = None if sizes["model"].value is None else sizes["model"].value <= 10.3  # noqa: PLR2004  the bar of `ml.md`
    size = _row(
        "70 % set: its size", sizes["model"], ("global local", sizes["global local"]), (10.3, 9.7), ok=small
    )
    yield replace(size, unit="h", note="the fewer, the better")


def _rows_of_surfaces(days: Days) -> Iterator[Row]:
    person, past = days.surface_person.read().astype(np.int64), days.surface_past.read()
    if not len(person):
        yield Row("top surface", None, note="the file has no surfaces")
        return
    right = {name: column.read() for name, column in days.surface_right.items()}
    for bucket, choose in BUCKETS.items():
        chosen = choose(past.astype(np.int64))
        shares = {name: share(person[chosen], values[chosen]) for name, values in right.items()}
        floor, aim = (65.5, 67.5) if bucket == "all" else (None, None)
        yield _row(
            f"top surface: {bucket}",
            shares["model"],
            ("last used", shares["last used"]),
            (floor, aim),
            ok=_reaches(shares["model"], floor, shares["last used"], 0.0),
        )
        for name in ("majority", "last used"):
            yield _row(f"top surface: {bucket}: by {name}", shares[name])


def rows_of_breaks(
    recovery: Recovery | None, alarm: tuple[int | None, int] | None, shuffled: tuple[int, int]
) -> Iterator[Row]:
    """What an abrupt change did, and the alarm."""
    what = "top surface four months after a new one appeared"
    if recovery is None:
        yield Row(what, None, note="no surface appears suddenly in this file, or it ends too early")
    else:
        ok = _reaches(recovery.model, 63.0, recovery.stale, _OVER_STALE)
        yield _row(what, recovery.model, ("the same, not fed since", recovery.stale), (63.0, 66.0), ok=ok)
        yield _row(f"{what}: by majority", recovery.majority)
    false, signs = shuffled
    yield Row(
        "false drift alarms, shuffled signs",
        float(false),
        floor=0.0,
        ok=false == 0,
        unit="alarms",
        answers=signs,
    )
    if alarm is None:
        yield Row(
            "days from an abrupt change to its alarm", None, unit="d", note="no abrupt change in this file"
        )
        return
    delay, before = alarm
    yield Row(
        "days from an abrupt change to its alarm",
        None if delay is None else float(delay),
        floor=_LATE_ALARM_D,
        ok=delay is not None and delay <= _LATE_ALARM_D,
        unit="d",
        aim=3.0,
        note="the fewer, the better",
    )
    yield Row(
        "false drift alarms, the year before it", float(before), floor=0.0, ok=before == 0, unit="alarms"
    )


def rows_elsewhere() -> Iterator[Row]:
    """What activity cannot tell, for it needs messages whose odds are known."""
    note = "asked of randomised messages: clarion ml replay FILE.csv"
    yield Row("exploration replayed: answers of Thompson", None, floor=17.3, aim=17.6, note=note)
    yield Row("off-policy estimate of a fixed arm", None, unit="standard errors", floor=2.0, note=note)


def _row(
    what: str,
    found: Share,
    against: tuple[str, Share] = ("", Share(None)),
    bounds: tuple[float | None, float | None] = (None, None),
    *,
    ok: bool | None = None,
) -> Row:
    name, baseline = against
    return Row(
        what=what,
        value=_rounded(found.value),
        low=_rounded(found.low),
        high=_rounded(found.high),
        floor=bounds[0],
        baseline=_rounded(baseline.value),
        ok=ok,
        aim=bounds[1],
        baseline_is=name,
        people=found.people,
        answers=found.answers,
    )


def _reaches(found: Share, floor: float | None, baseline: Share, over: float) -> bool | None:
    """Whether a share reaches its floor and is `over` the baseline; None where nothing is asked or known."""
    if floor is None or found.value is None:
        return None
    return found.value >= floor and (baseline.value is None or found.value >= baseline.value + over)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
