from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS, SendTimeParameters, send_time
from clarion.kernel.local_time import DAY_MS

NOW_MS = 1_800_000_000_000
USUAL = DEFAULTS.send_time


def somebody(hour: int, times: float, day_type: int = 0) -> RecordArray:
    """A user who was there so often at one local hour."""
    records = empty_records([1])
    records["as_of_ms"] = NOW_MS
    records["presence"][0, :, day_type, hour] = times
    return records


def curve_of(records: RecordArray, now_ms: int = NOW_MS, **fields: Any) -> np.ndarray[Any, Any]:
    return send_time.curves(records, msgspec.structs.replace(USUAL, **fields), now_ms)[0]


def test_a_stranger_has_the_curve_of_the_population():
    assert np.allclose(curve_of(empty_records([1])), send_time.population_curves(USUAL), atol=1e-5)


def test_curves_have_mean_1_and_leave_no_hour_out():
    for times in (0, 1, 40, 1e6):
        curve = curve_of(somebody(3, times))
        assert np.allclose(curve.mean(axis=1), 1, atol=0.03)
        assert (curve > 0).all()


def test_each_active_hour_takes_a_user_further_from_the_population():
    at_three = [curve_of(somebody(3, times))[0, 3] for times in (0, 1, 5, 20, 200)]
    assert at_three == sorted(at_three)
    assert at_three[-1] > 5 * at_three[0]


def test_what_is_known_of_working_days_says_something_of_weekends_and_less():
    workdays, weekends = curve_of(somebody(3, 30))
    assert workdays[3] > weekends[3] > send_time.population_curves(USUAL)[1, 3]


def test_hours_are_neighbours_around_midnight():
    curve = curve_of(somebody(0, 100))[0]
    assert curve[23] == pytest.approx(curve[1], rel=0.05)
    assert curve[23] > curve[21]


def test_what_is_long_ago_counts_less():
    recently, long_ago = curve_of(somebody(3, 20)), curve_of(somebody(3, 20), NOW_MS + 900 * DAY_MS)
    assert recently[0, 3] > long_ago[0, 3] > send_time.population_curves(USUAL)[0, 3]


def test_a_bot_that_is_always_there_has_no_best_hour_to_speak_of():
    records = empty_records([1])
    records["as_of_ms"] = NOW_MS
    records["presence"][:] = 40_000
    curves = send_time.curves(records, USUAL, NOW_MS)
    assert np.allclose(curves, 1, atol=0.01)
    assert send_time.uncertainty(curves)[0] > 0.999


def test_somebody_with_one_hour_is_less_uncertain_than_a_stranger():
    known = send_time.curves(somebody(3, 300), USUAL, NOW_MS)
    strange = send_time.curves(empty_records([1]), USUAL, NOW_MS)
    assert send_time.uncertainty(known)[0] < send_time.uncertainty(strange)[0] - 0.1


def test_the_best_hours_are_apart_and_the_first_is_the_best():
    curve = np.zeros((1, 24), np.float32)
    curve[0, [9, 10, 20, 23, 0]] = (5, 4.9, 3, 2.5, 2.4)
    assert send_time.best_hours(curve).tolist() == [[9, 20, 23]]
    assert send_time.best_hour(send_time.curves(somebody(4, 50), USUAL, NOW_MS), USUAL).tolist() == [4]


def test_the_set_is_the_smallest_that_holds_the_mass():
    curve = np.array([4.0, 3.0, 2.0, 1.0] + [0.0] * 20, np.float32)
    for mass, hours in ((0.4, 1), (0.41, 2), (0.7, 2), (0.9, 3), (1.0, 4)):
        assert send_time.hour_set(curve, mass).sum() == hours
    both = send_time.hour_set(np.stack((curve, curve)), np.array([0.4, 0.9], np.float32))
    assert both.sum(axis=1).tolist() == [1, 3]


def test_many_opens_where_most_was_sent_make_no_good_hour():
    """C4 of the measurements: opens follow sends. Per send, the hour that is hardly used is the better one."""
    records = empty_records([1])
    records["as_of_ms"] = NOW_MS
    records["exposed"][0, [9, 18]] = (400, 40)
    records["answered"][0, [9, 18]] = (40, 20)
    records["presence"][0, :, 0, [9, 18]] = ((40, 40), (20, 20))
    odds = send_time.answer_odds(records, send_time.curves(records, USUAL, NOW_MS), USUAL, NOW_MS)
    assert odds[0, 0, 18] > 2 * odds[0, 0, 9]


def test_who_was_only_ever_sent_to_at_her_hour_keeps_it():
    """What she answers there is what she answers, and no reason to try the hour beside it."""
    for answers in (4, 10, 40, 60):
        records = somebody(20, 75)
        records["exposed"][0, 20], records["answered"][0, 20] = 80, answers
        odds = send_time.answer_odds(records, send_time.curves(records, USUAL, NOW_MS), USUAL, NOW_MS)
        assert odds[0, 0].argmax() == 20
        assert 0.5 < odds[0, 0, 20] < 2


def test_without_sends_the_hour_follows_presence_as_far_as_the_elasticity_says():
    records = somebody(20, 100)
    curves = send_time.curves(records, USUAL, NOW_MS)
    none = msgspec.structs.replace(USUAL, elasticity=0.0)
    assert np.allclose(send_time.answer_odds(records, curves, none, NOW_MS), 1)
    half = send_time.answer_odds(records, curves, USUAL, NOW_MS)[0, 0]
    assert half.argmax() == 20
    assert half.max() < curves.max()


def test_the_kernel_keeps_what_it_smooths():
    for width in (0.0, 0.5, 1.0, 3.0):
        assert np.allclose(send_time.kernel(width).sum(axis=1), 1, atol=1e-5)


def test_old_artefacts_get_the_fields_that_were_added():
    assert msgspec.convert({"shrink_user": 3.0}, SendTimeParameters).reach_h == USUAL.reach_h
