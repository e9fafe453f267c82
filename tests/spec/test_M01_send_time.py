"""M-01, send time.

Read as: the predicted hour lies in the user's own future window (the smallest set of hours that holds half of what she
then does) more often than that of any baseline: a random hour, the crowd's in UTC or in local time, her raw history.
Judged by `clarion ml evaluate`, on people who are made up; the figures on real ones are in `docs/ml`. The
specification's own text is not in this repository.
"""

from __future__ import annotations

import pytest

from tests.spec.learned_people import judge

HOUR = "predicted hour in own future window: all"


@pytest.mark.parametrize("baseline", ["random", "global UTC", "global local", "raw history"])
def test_M01_the_predicted_hour_is_her_own_more_often_than_the_baselines(baseline: str):
    assert judge()[HOUR]["value"] > judge()[f"{HOUR}: by {baseline}"]["value"]


def test_M01_it_is_right_for_seven_of_ten():
    assert judge()[HOUR]["value"] > 70
    assert judge()[HOUR]["low"] > judge()[f"{HOUR}: by global local"]["value"]


def test_M01_the_set_of_likely_hours_is_calibrated_and_small():
    inside = judge()["70 % set: share of the next day's hours inside"]
    size = judge()["70 % set: its size"]
    assert 66 < inside["value"] < 74
    assert size["value"] < size["baseline"]
