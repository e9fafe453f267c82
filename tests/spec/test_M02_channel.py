"""M-02, channel.

Read as: the predicted channel is the one that is used, more often than the majority's and the one used last. Judged as
M-01, day by day, each day predicted before anything of it is known.
"""

from __future__ import annotations

import pytest

from tests.spec.learned_people import judge

SURFACE = "top surface: all"


@pytest.mark.parametrize("baseline", ["majority", "last used"])
def test_M02_the_predicted_channel_is_used_more_often_than_the_baselines(baseline: str):
    assert judge()[SURFACE]["value"] > judge()[f"{SURFACE}: by {baseline}"]["value"] + 3


def test_M02_it_is_right_for_two_of_three():
    assert judge()[SURFACE]["value"] > 65.5
