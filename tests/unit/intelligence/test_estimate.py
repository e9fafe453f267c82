"""Off-policy estimates, replays and lift, on worlds whose truth is known."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from clarion.intelligence.training.arms import POLICIES, Trial, judge_contextual, replay
from clarion.intelligence.training.estimate import Logged, difference, estimate
from clarion.intelligence.training.lift import measure_lift
from clarion.intelligence.training.trial import judge_trial, read_trial
from clarion.kernel.errors import Invalid

RATES: Final = np.array([0.10, 0.15, 0.20])


def logged(chance: np.random.Generator, rows: int, odds: list[float], arm: int) -> Logged:
    """Decisions drawn by `odds`; the other policy always takes `arm`. The model knows the rates up to a fifth."""
    drawn = chance.choice(3, rows, p=odds)
    reward = (chance.random(rows) < RATES[drawn]).astype(np.float64)
    return Logged(
        reward=reward,
        propensity=np.array(odds)[drawn],
        target=(drawn == arm).astype(np.float64),
        expected=RATES[drawn] * 1.2,
        value=np.full(rows, RATES[arm] * 1.2),
    )


@pytest.mark.parametrize("odds", [[1 / 3, 1 / 3, 1 / 3], [0.8, 0.15, 0.05]])
def test_the_truth_is_within_two_standard_errors_as_often_as_it_should(odds: list[float]):
    chance = np.random.default_rng(8)
    hits = np.zeros(3)
    for _ in range(200):
        found = estimate(logged(chance, 4_000, odds, 2))
        values = np.array([found.ips, found.snips, found.dr])
        errors = np.array([found.ips_se, found.snips_se, found.dr_se])
        hits += np.abs(values - 0.20) <= 2 * errors
    assert (hits >= 180).all(), hits


def test_little_that_speaks_of_a_policy_is_not_enough():
    chance = np.random.default_rng(9)
    found = estimate(logged(chance, 2_000, [0.5, 0.49, 0.01], 2))
    assert found.ess < 100
    assert not found.is_enough
    assert found.clipped > 0, "odds of 1 % are a weight of 100"


def test_the_difference_to_what_was_done():
    chance = np.random.default_rng(10)
    middle, error = difference(logged(chance, 50_000, [1 / 3, 1 / 3, 1 / 3], 2))
    assert abs(middle - 0.05) < 3 * error


def test_odds_of_nothing_are_refused():
    zeros = np.zeros(1)
    with pytest.raises(ValueError, match="propensity"):
        estimate(Logged(zeros, zeros, zeros, zeros, zeros))


def trial(rows: int = 20_000, *, by_person: bool = False) -> Trial:
    chance = np.random.default_rng(11)
    arm, kind = chance.integers(0, 3, rows), chance.integers(0, 2, rows)
    rate = RATES[arm]
    if by_person:
        rate = np.where(kind == 1, rate[::1], RATES[::-1][arm])
    reward = (chance.random(rows) < rate).astype(np.float64)
    features = (kind * 2.0 - 1)[:, None]
    return Trial(arm, ("a", "b", "c"), reward, np.full(rows, 1 / 3), features.astype(np.float64))


def test_those_who_learn_end_near_the_best_arm():
    given = trial()
    means = {name: replay(given, draw, rounds=3_000, replays=5) for name, draw in POLICIES.items()}
    assert means["uniform"].reward == pytest.approx(0.15, abs=0.01)
    assert means["thompson"].reward > 0.18
    assert means["thompson"].best_share > 0.7
    assert means["epsilon-greedy"].reward > means["uniform"].reward


def test_knowing_people_brings_lift_only_where_people_differ():
    assert judge_contextual(trial()).verdict == "no lift"
    found = judge_contextual(trial(by_person=True))
    assert found.verdict == "lift"
    assert found.low < 0.05 < found.high, "the best for each is 20 %, any fixed arm 15 %"


def test_a_table_is_read_and_judged():
    given = trial(6_000)
    columns: dict[str, list[str]] = {
        "segment": [given.arms[arm] for arm in given.arm.tolist()],
        "visit": [str(int(reward)) for reward in given.reward.tolist()],
        "kind": [str(value) for value in given.features[:, 0].tolist()],
        "spend": ["0"] * 6_000,
    }
    read = read_trial(columns)
    assert read.features.shape == (6_000, 1), "what was spent came afterwards"
    report = judge_trial(read)
    assert {row.what for row in report.rows} >= {
        "exploration replayed: thompson",
        "off-policy estimate of a: DR",
    }
    with pytest.raises(Invalid, match="no column"):
        read_trial(columns, reward="opened")
    with pytest.raises(Invalid, match="two arms"):
        read_trial({"arm": ["a"] * 600, "reward": ["1"] * 600})
    with pytest.raises(Invalid, match="0 to 1"):
        read_trial({**columns, "visit": ["7"] * 6_000})


def test_a_planted_lift_is_within_its_interval_and_none_is_not_seen():
    chance = np.random.default_rng(12)
    covered = seen = 0
    for _ in range(200):
        treated = chance.random(4_000) < 0.9
        habit = chance.normal(0.3, 0.1, 4_000)
        outcome = habit + chance.normal(0, 0.05, 4_000)
        before = habit + chance.normal(0, 0.05, 4_000)
        found = measure_lift(outcome + 0.015 * treated, treated, before)
        covered += found.low <= 0.015 <= found.high
        seen += measure_lift(outcome, treated, before).verdict != "no lift"
        assert found.reduced > 0.4, "most of the noise was known before"
    assert covered >= 186
    assert seen <= 20


def test_few_users_say_nothing():
    chance = np.random.default_rng(13)
    treated = np.arange(150) < 100
    assert measure_lift(chance.random(150) + treated, treated).verdict == "too little"
    assert measure_lift(np.zeros(0), np.zeros(0, np.bool_)).verdict == "too little"
