"""Judging models: on populations that are made up, so that it is known what has to come out."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pytest

from clarion.intelligence.training.evaluate import Activity, Report, Row, arrange, clustered, evaluate
from clarion.intelligence.training.evaluate.windows import best_window, density, smallest_set
from clarion.kernel.errors import Invalid

DAY_S: Final = 86_400
BEGIN: Final = 1_600_000_000 // DAY_S * DAY_S


def people(count: int, days: int, *, habit: bool = True, seed: int = 5) -> dict[str, list[Any]]:
    """Columns of people who are there most days, around an hour of their own (without `habit`: at any)."""
    chance = np.random.default_rng(seed)
    own = chance.integers(0, 24, count)
    rows: dict[str, list[Any]] = {"person": [], "ts_utc": [], "utc_offset_minutes": [], "surface": []}
    for person in range(count):
        for day in np.flatnonzero(chance.random(days) < 0.7).tolist():
            hour = (own[person] + chance.normal(0, 1.5)) % 24 if habit else chance.random() * 24
            rows["person"].append(f"p{person}")
            rows["ts_utc"].append(BEGIN + day * DAY_S + int(hour * 3600))
            rows["utc_offset_minutes"].append(0)
            rows["surface"].append(("web", "app")[person % 2] if chance.random() < 0.9 else "mail")
    return rows


def activity(columns: dict[str, list[Any]]) -> Activity:
    return arrange(
        columns["person"], columns["ts_utc"], columns["utc_offset_minutes"], columns.get("surface")
    )


def silent(phase: str, share: float) -> None:
    del phase, share


def judged(columns: dict[str, list[Any]]) -> Report:
    return evaluate(activity(columns), None, silent)


def row(report: Report, what: str) -> Row:
    (found,) = [one for one in report.rows if one.what == what]
    return found


@pytest.fixture(scope="module")
def habits() -> Report:
    return judged(people(80, 240))


HIT: Final = "predicted hour in own future window: all"


def test_people_with_habits_are_met_at_their_hours(habits: Report):
    assert (row(habits, HIT).value or 0) > 95
    assert (row(habits, f"{HIT}: by global local").value or 100) < 50
    assert row(habits, HIT).ok is True


def test_the_set_of_likely_hours_is_calibrated_and_smaller_than_the_crowds(habits: Report):
    inside = row(habits, "70 % set: share of the next day's hours inside").value
    assert inside is not None
    assert 62 < inside < 78
    size = row(habits, "70 % set: its size")
    assert size.value is not None
    assert size.baseline is not None
    assert size.value < size.baseline / 2


def test_the_surface_of_each_is_found(habits: Report):
    assert (row(habits, "top surface: all").value or 0) > 85
    assert (row(habits, "top surface: all: by majority").value or 100) < 60


def test_where_there_are_no_habits_none_are_found():
    report = judged(people(400, 100, habit=False))
    assert abs((row(report, HIT).value or 0) - (row(report, f"{HIT}: by random").value or 0)) < 12
    assert row(report, HIT).ok is False
    assert report.ok is False


def test_what_a_file_cannot_tell_is_null_and_says_why(habits: Report):
    for what in ("exploration replayed: answers of Thompson", "days from an abrupt change to its alarm"):
        assert row(habits, what).value is None
        assert row(habits, what).note
        assert row(habits, what).ok is None


def test_without_surfaces_hours_are_judged_all_the_same():
    columns = people(30, 120)
    del columns["surface"]
    report = judged(columns)
    assert row(report, "top surface").note == "the file has no surfaces"
    assert row(report, HIT).value is not None


def test_nothing_that_comes_later_changes_what_was_fitted():
    columns = people(40, 200)
    split = BEGIN + 130 * DAY_S
    later = {
        **columns,
        "ts_utc": [ts + (3 * 3600 if ts >= split else 0) for ts in columns["ts_utc"]],
    }
    one = evaluate(activity(columns), split * 1000, silent)
    other = evaluate(activity(later), split * 1000, silent)
    assert one.send_time == other.send_time
    assert one.channel == other.channel


def test_the_order_of_rows_changes_nothing():
    columns = people(20, 100)
    order = np.random.default_rng(1).permutation(len(columns["person"]))
    mixed = {name: [values[place] for place in order] for name, values in columns.items()}
    assert judged(mixed).rows == judged(columns).rows


def test_four_surfaces_are_three_and_others():
    columns = people(20, 60)
    columns["surface"] = [f"s{nth % 4}" if nth % 8 else "rare" for nth in range(len(columns["surface"]))]
    found = activity(columns)
    assert len(found.surfaces) == 3
    assert set(found.surface.tolist()) == {-1, 0, 1, 2}


def test_one_person_is_enough_for_an_answer():
    report = judged(people(1, 200, seed=9))
    assert report.people == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"ts_utc": [float("nan"), 2.0]}, "rows[0].ts_utc"),
        ({"ts_utc": ["2020", "2021"]}, "ts_utc"),
        ({"ts_utc": [BEGIN, -5]}, "rows[1].ts_utc"),
        ({"utc_offset_minutes": [0, 5000]}, "rows[1].utc_offset_minutes"),
        ({"person": ["a", None]}, "rows[1].person"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(changes: dict[str, list[Any]], told: str):
    columns = {"person": ["a", "b"], "ts_utc": [BEGIN, BEGIN], "utc_offset_minutes": [0, 0], **changes}
    with pytest.raises(Invalid) as refused:
        activity(columns)
    assert refused.value.path == told


def test_an_empty_file_and_a_short_one_are_refused():
    with pytest.raises(Invalid, match="no rows"):
        arrange([], [], [])
    with pytest.raises(Invalid, match="--from"):
        judged(people(5, 4))


def test_intervals_are_of_people_and_not_of_answers():
    person = np.repeat(np.arange(40), 100)
    answer = np.repeat(np.arange(40) % 2, 100)
    found = clustered.share(person, answer)
    assert found.value == 50
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 20, "40 people, whatever each says a hundred times"
    assert clustered.share(np.arange(4), np.ones(4)).low is None


def test_windows():
    curve = np.zeros((1, 24))
    curve[0, [9, 10, 11]] = 2.0, 5.0, 2.0
    assert smallest_set(curve).sum() == 1
    assert density(curve).sum() == pytest.approx(9.0)
    assert np.flatnonzero(best_window(curve[0], 3)).tolist() == [9, 10, 11]
    night = np.zeros(24)
    night[[2, 3, 4]] = 1
    assert np.flatnonzero(best_window(night, 3)).tolist() != [2, 3, 4], (
        "no window crosses four in the morning"
    )
