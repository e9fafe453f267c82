"""Strangers keep the hours of their part of the world; who is known keeps her own."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, empty_records
from clarion.intelligence.features.signs import SignKind, Signs
from clarion.intelligence.models import DEFAULTS, TenantModel, send_time
from clarion.intelligence.serving import Question, Subject
from clarion.intelligence.serving.holdout import SEND_TIME
from clarion.intelligence.serving.predict import LearnedPredictor
from clarion.intelligence.training.fit import refresh_regions
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW: Final = 20_000 * DAY_MS
TENANT: Final = bytes(16)
AHEAD_H: Final = (-8, 1, 9)
OWN_HOURS: Final = (7, 13, 21)


def signs(users: int = 600, *, kind: int = SignKind.ACTIVE, later_ms: int = 0) -> Signs:
    """People of three parts of the world, there at 7, 13 and 21 h of their own clocks, one part each."""
    user = np.repeat(np.arange(users), 5)
    day = np.tile(np.arange(5), users)
    part = user % 3
    offset_ms = np.array(AHEAD_H)[part] * HOUR_MS
    local_ms = NOW - (6 - day) * DAY_MS + np.array(OWN_HOURS)[part] * HOUR_MS
    count = len(user)
    return Signs(
        user_id=user + 1,
        kind=np.full(count, kind),
        channel=np.full(count, -1),
        at_ms=local_ms - offset_ms + later_ms,
        offset_ms=offset_ms,
        ident=np.zeros(count, np.uint64),
    )


@pytest.fixture(scope="module")
def model() -> TenantModel:
    return refresh_regions(DEFAULTS, signs(), NOW)


def best_hour(model: TenantModel, ahead_h: int, records: RecordArray | None = None, hidden: int = 0) -> int:
    """The local hour that a decision would take for one user whose clock is ahead by so much."""
    local = np.arange(24, dtype=np.int8)
    question = Question(
        user_id=np.array([1]),
        preferred=np.array([-1]),
        hour=local[None],
        weekday=np.zeros((1, 24), np.int8),
        at_ms=NOW + (local.astype(np.int64)[None] - ahead_h) * HOUR_MS,
        class_=np.zeros(1, np.int64),
    )
    known = empty_records([1]) if records is None else records
    forecast = LearnedPredictor([Subject(TENANT, 1, hidden)], known, [model], NOW).predict(question)
    return int(forecast.engagement[0, 0].argmax())


@pytest.mark.parametrize(("ahead_h", "hour"), list(zip(AHEAD_H, OWN_HOURS, strict=True)))
def test_a_stranger_is_awaited_when_her_part_of_the_world_is_there(
    model: TenantModel, ahead_h: int, hour: int
):
    assert best_hour(model, ahead_h) == hour
    assert best_hour(DEFAULTS, ahead_h) == best_hour(DEFAULTS, 0), "nothing is known of parts of the world"


def test_who_is_known_keeps_her_own_hours(model: TenantModel):
    ada = empty_records([1])
    ada["as_of_ms"] = NOW
    ada["presence"][:, :, :, 17] = 50
    assert best_hour(model, AHEAD_H[0], ada) == 17


def test_who_is_held_out_gets_what_everybody_would(model: TenantModel):
    assert best_hour(model, AHEAD_H[0], hidden=SEND_TIME) == best_hour(DEFAULTS, 0)


@pytest.mark.parametrize(
    ("ahead_h", "region"), [(-10, 0), (-4, 0), (-3, 1), (0, 1), (3, 1), (4, 2), (9, 2), (13, 2)]
)
def test_parts_of_the_world_are_told_by_clocks(ahead_h: int, region: int):
    turned = np.array([ahead_h, ahead_h + 24, ahead_h - 48])
    assert send_time.region_of(turned).tolist() == [region] * 3


def test_a_few_people_hardly_move_what_is_expected_of_strangers():
    few = refresh_regions(DEFAULTS, signs(9), NOW)
    assert best_hour(few, AHEAD_H[0]) == best_hour(DEFAULTS, 0)


@pytest.mark.parametrize(
    "history", [signs(kind=SignKind.SENT), signs(kind=SignKind.MACHINE), signs(later_ms=7 * DAY_MS)]
)
def test_sends_machines_and_the_future_say_nothing(history: Signs):
    usual = send_time.population_curves(DEFAULTS.send_time)
    found = send_time.region_curves(refresh_regions(DEFAULTS, history, NOW).send_time)
    assert np.allclose(found, usual, atol=1e-3)


def test_nothing_at_all_says_nothing():
    nobody = signs().where(np.zeros(0, np.intp))
    assert msgspec.structs.replace(DEFAULTS.send_time, regions=()) == DEFAULTS.send_time
    found = send_time.region_curves(refresh_regions(DEFAULTS, nobody, NOW).send_time)
    assert np.allclose(found, send_time.population_curves(DEFAULTS.send_time), atol=1e-3)
