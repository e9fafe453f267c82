"""What decisions may use of what was learned, and for whom it is worth reading."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.intelligence.serving import EVERY_FEATURE, NO_MODEL
from clarion.kernel.ids import make_ids, split_ids
from clarion.orchestration.learning import (
    Learner,
    find_holdouts,
    find_lots,
    find_subjects,
    leaves_choice,
)
from clarion.tenancy.model import FeatureSwitches, HoldoutShares, MlSettings
from clarion.testing.decisions import TRANSACTIONAL, make_card, make_draft

NOW = 1_795_608_000_000
MINE, HERS = b"m" * 16, b"h" * 16
HALF = MlSettings(exploration=0.2, holdout=HoldoutShares(0.5, 0.0))


def learner(tenant_id: bytes = MINE, user_id: int = 1, **changes: Any) -> Learner:
    settings, is_test = changes.pop("settings", HALF), changes.pop("is_test", False)
    return Learner(tenant_id, settings, is_test, make_draft(**changes), make_card(user_id))


@pytest.mark.parametrize(
    ("draft", "card", "choice"),
    [
        ({}, {}, True),
        ({"requested": 2}, {}, False),
        ({}, {"reachable": 4}, False),
        ({"selection": "all"}, {}, False),
        ({"selection": "specified", "requested": 1, "send_time": "optimal"}, {}, True),
        ({"selection": "all", "send_time": "optimal", "priority": 2}, {}, False),
        ({"category": TRANSACTIONAL}, {}, True),
    ],
)
def test_what_leaves_something_to_choose(draft: dict[str, Any], card: dict[str, Any], choice: bool):  # noqa: FBT001  a row of a table
    assert leaves_choice(make_draft(**draft), make_card(**card)) is choice


def test_users_are_held_out_by_the_settings_of_their_own_tenant():
    sure = MlSettings(holdout=HoldoutShares(0.0, 0.0))
    rows = [learner(HERS, user, settings=sure) for user in range(200)]
    rows += [learner(MINE, user) for user in range(200)]
    masks = find_holdouts(rows)
    assert set(masks[:200]) == {0}
    assert set(masks[200:]) == {0, 1}
    assert masks[200:] == find_holdouts(rows[200:])


def test_what_stays_hidden_of_whom():
    off = MlSettings(enabled=FeatureSwitches(channel=False))
    rows = [learner(user_id=1), learner(user_id=2, settings=off), learner(user_id=3, requested=1)]
    subjects = find_subjects(rows, [1, 0, 0])
    assert [subject.hidden for subject in subjects] == [1, 2, EVERY_FEATURE]
    assert [subject.user_id for subject in subjects] == [1, 2, 3]


def test_a_test_credential_tries_nothing_and_holds_nobody_out():
    rows = [learner(user_id=user, is_test=True) for user in range(100)]
    assert set(find_holdouts(rows)) == {0}
    lots = find_lots(rows, [0] * 100, split_ids(make_ids(100, NOW)))
    assert not lots.rate.any()


def test_lots_follow_from_the_notifications_id():
    idents = split_ids(make_ids(2, NOW))
    first = find_lots([learner(), learner()], [1, 0], idents)
    again = find_lots([learner()], [0], idents[1:])
    assert first.rate.tolist() == [0.2, 0.2]
    assert first.holdout.tolist() == [1, 0]
    assert (first.whether[1], first.which[1]) == (again.whether[0], again.which[0])


def test_what_is_off_altogether_uses_no_model_and_tries_nothing():
    off = MlSettings(exploration=0.5, off=True)
    rows = [learner(user_id=1, settings=off), learner(user_id=2, settings=off, requested=1)]
    subjects = find_subjects(rows, [0, 0])
    assert {subject.hidden for subject in subjects} == {EVERY_FEATURE | NO_MODEL}
    idents = split_ids(make_ids(2, NOW))
    assert find_lots(rows, [0, 0], idents).rate.tolist() == [0, 0]
