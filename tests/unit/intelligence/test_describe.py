"""What is said of users."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.models import DEFAULTS, ChannelParameters, SendTimeParameters, TenantModel
from clarion.intelligence.models.segments import SEGMENTS
from clarion.intelligence.serving.describe import UserPrediction, describe, describe_safely
from clarion.kernel.local_time import DAY_MS

NOW = 1_795_608_000_000  # Wednesday 2026-11-25 12:00 UTC


def stranger() -> RecordArray:
    return empty_records([1])


def regular(*, silent_d: float = 0.5) -> RecordArray:
    """There at 20 h about once a day for half a year, answers nearly every SMS and no e-mail; then silent."""
    record = empty_records([2])
    record["as_of_ms"] = record["seen_ms"] = NOW - int(silent_d * DAY_MS)
    record["first_ms"] = NOW - 180 * DAY_MS
    record["gap_h"] = [24 * 100, 100]
    record["presence"][:, :, 0, 20], record["presence"][:, :, 1, 20] = 75, 30
    record["active"] = 30
    record["sent"][:, :, (0, 2)] = 40
    record["opened"][:, :, 2] = record["touched"][:, :, 2] = 38
    record["exposed"][:, 20], record["answered"][:, 20] = 80, 38
    return record


def said_of(record: RecordArray, model: TenantModel = DEFAULTS) -> UserPrediction:
    [said] = describe(record, model, NOW)
    return said


def test_of_somebody_unknown_the_populations_hours_no_preference_and_that_nothing_is_known():
    said = said_of(stranger())
    assert all(9 <= int(time[:2]) <= 17 for times in said.times.values() for time in times)
    assert list(said.preferences.values()) == pytest.approx([1 / 3] * 3, abs=1e-3)
    assert (said.uncertainty.send_time, said.uncertainty.channel, said.uncertainty.churn) == (1, 1, 1)
    assert said.segments == ["unknown"]


def test_of_somebody_known_her_own_hour_and_channel():
    said = said_of(regular())
    assert {times[0] for times in said.times.values()} == {"20:00"}
    assert said.preferences["sms"] > 0.7
    assert sum(said.preferences.values()) == pytest.approx(1, abs=1e-3)
    assert said.opens["sms"] > 0.8
    assert said.opens["email"] < 0.1
    assert said.uncertainty.send_time < 0.2
    assert said.uncertainty.channel < 0.2
    assert said.uncertainty.churn < 0.2
    assert {"active", "highly_engaged"} <= set(said.segments)


def test_the_longer_the_silence_the_more_probable_it_stays():
    risks = [said_of(regular(silent_d=days)).churn_risk for days in (0, 1, 5, 20, 60, 200)]
    assert risks == sorted(risks)
    assert risks[0] < 0.1
    assert risks[-1] > 0.8


@pytest.mark.parametrize(
    ("days", "segment"), [(1, "active"), (8, "lapsing"), (29, "lapsing"), (31, "dormant")]
)
def test_segments_follow_the_silence(days: float, segment: str):
    lifecycle = {"active", "lapsing", "dormant", "unknown"}
    assert lifecycle & set(said_of(regular(silent_d=days)).segments) == {segment}


def test_segments_have_names_of_their_own_and_sentences():
    assert len({segment.name for segment in SEGMENTS}) == len(SEGMENTS)
    assert all(segment.meaning for segment in SEGMENTS)


def test_users_do_not_influence_one_another():
    together = describe(np.concatenate([stranger(), regular()]), DEFAULTS, NOW)
    assert together == [said_of(stranger()), said_of(regular())]


@pytest.mark.parametrize(
    "model",
    [
        TenantModel(channel=ChannelParameters(rates=(math.nan,) * 3)),
        TenantModel(channel=ChannelParameters(rates=(0.1, 0.1))),
        TenantModel(send_time=SendTimeParameters(mix=())),
    ],
    ids=["NaN", "too short", "empty"],
)
def test_a_model_that_talks_nonsense_knows_nobody(model: TenantModel):
    assert describe_safely(regular(), model, NOW) == ([said_of(stranger())], [True])
    assert describe_safely(regular(), DEFAULTS, NOW) == ([said_of(regular())], [False])


def test_a_record_that_says_what_cannot_be_makes_a_stranger_of_its_user_and_of_nobody_else():
    torn = regular()
    torn["presence"] = np.nan
    torn["gap_h"] = np.inf
    said, replaced = describe_safely(np.concatenate([torn, regular()]), DEFAULTS, NOW)
    assert said == [said_of(stranger()), said_of(regular())]
    assert replaced == [True, False]


def test_nobody():
    assert describe_safely(empty_records([]), DEFAULTS, NOW) == ([], [])
