"""Experiments: intervals that hold at all looks, shares that do not add up, and who is in which arm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clarion.intelligence.serving.assignment import assign, settings_in, shares_of
from clarion.intelligence.serving.holdout import held_out
from clarion.intelligence.training.ab import Observed, analyse, half_width, sample_ratio
from clarion.tenancy.model import Arm, Experiment, FeatureSwitches, HoldoutShares, MlSettings

NAMES = ["as_now", "other"]
HALVES = [0.5, 0.5]
LOOKS = 40


def world(seed: int, planted: float, users: int = 4_000) -> tuple[Observed, np.ndarray]:
    """Users who come one after another, ten messages each; the second arm answers more often by `planted`."""
    chance = np.random.default_rng((48, seed))
    rate = chance.beta(1.5, 10, users)
    arm = (chance.random(users) < 0.5).astype(np.int64)
    before = chance.binomial(20, rate) / 20
    outcome = chance.binomial(10, np.minimum(rate + planted * arm, 1)) / 10
    return Observed(arm, outcome, before), np.linspace(400, users, LOOKS).astype(np.int64)


def verdicts(seed: int, planted: float) -> set[str | None]:
    """What was said at any of the looks."""
    seen, looks = world(seed, planted)
    said: set[str | None] = set()
    for users in looks.tolist():
        before = None if seen.before is None else seen.before[:users]
        part = Observed(seen.arm[:users], seen.outcome[:users], before)
        said.add(analyse(part, NAMES, HALVES).arms[1].verdict)
    return said


def test_whoever_looks_forty_times_is_wrong_in_five_of_a_hundred_at_most():
    wrong = sum(bool(verdicts(seed, 0.0) & {"better", "worse"}) for seed in range(200))
    assert wrong <= 10


def test_an_interval_of_one_look_would_not_do():
    wrong = 0
    for seed in range(100):
        seen, looks = world(seed, 0.0)
        for users in looks.tolist():
            one, other = (seen.outcome[:users][seen.arm[:users] == arm] for arm in (0, 1))
            se = math.sqrt(one.var() / len(one) + other.var() / len(other))
            if abs(one.mean() - other.mean()) > 1.96 * se:
                wrong += 1
                break
    assert wrong > 15


def test_what_is_planted_is_seen_with_its_size():
    seen, _ = world(7, 0.03, users=20_000)
    result = analyse(seen, NAMES, HALVES)
    control, other = result.arms
    assert control.verdict is None
    assert other.verdict == "better"
    assert other.low is not None
    assert other.high is not None
    assert other.low < 0.03 < other.high
    assert other.least_seen is not None
    assert 0 < other.least_seen < 0.01
    assert result.reduced > 0.2
    worse = analyse(Observed(1 - seen.arm, seen.outcome, seen.before), NAMES, HALVES)
    assert worse.arms[1].verdict == "worse"


def test_nothing_planted_is_no_lift_once_there_are_enough_and_nothing_yet_before():
    many, _ = world(3, 0.0, users=60_000)
    assert analyse(many, NAMES, HALVES).arms[1].verdict == "no lift"
    few = Observed(many.arm[:1_000], many.outcome[:1_000])
    assert analyse(few, NAMES, HALVES).arms[1].verdict == "no difference seen yet"
    nobody = Observed(np.zeros(0, np.int64), np.zeros(0))
    assert analyse(nobody, NAMES, HALVES).arms[1].verdict == "no difference seen yet"


def test_arms_from_which_users_are_missing_are_not_compared():
    seen, _ = world(5, 0.05, users=20_000)
    kept = (seen.arm == 0) | (np.arange(20_000) % 10 > 0)
    result = analyse(Observed(seen.arm[kept], seen.outcome[kept]), NAMES, HALVES)
    assert result.ratio_p < 0.001
    assert result.arms[1].verdict == "sample ratio mismatch"


@pytest.mark.parametrize(
    ("counts", "shares", "p"),
    # Tables of χ²: 3.841 of 1 degree, 5.991 of 2, 7.815 of 3 and 9.488 of 4 are met once in twenty.
    [
        ([500 + 31, 500 - 31], [0.5, 0.5], 0.0499),
        ([1000, 1000, 1000], [1 / 3] * 3, 1.0),
        ([1100, 1000, 900], [1 / 3] * 3, 4.54e-5),
        ([1060, 1000, 1000, 940], [0.25] * 4, 0.0659),
        ([1060, 1000, 1000, 1000, 940], [0.2] * 5, 0.1257),
    ],
)
def test_shares_are_held_against_chance(counts: list[int], shares: list[float], p: float):
    assert sample_ratio(np.array(counts), shares) == pytest.approx(p, rel=0.01)


@pytest.mark.parametrize("answered", [0.0, 1.0])
def test_where_all_did_alike_nothing_is_concluded(answered: float):
    """Without any difference between users there is no telling how much of it is chance."""
    arm = np.arange(2_000) % 2
    found = analyse(Observed(arm, np.full(2_000, answered)), ["a", "b"], [0.5, 0.5]).arms[1]
    assert (found.verdict, found.difference) == ("no difference seen yet", None)


def test_the_interval_narrows_and_is_wider_than_one_look():
    widths = [half_width(0.02**2 / n, 0.01) for n in (1, 10, 100)]
    assert widths == sorted(widths, reverse=True)
    assert all(1.96 * 0.02 / math.sqrt(n) < width for n, width in zip((1, 10, 100), widths, strict=True))


def test_users_stay_in_arms_of_the_right_size_that_have_nothing_to_do_with_holdouts():
    arms = (Arm("a", 0.5), Arm("b", 0.3), Arm("c", 0.2))
    users = np.arange(20_000)
    first, other = (assign(Experiment(ident * 16, arms), users) for ident in (b"e", b"f"))
    assert sample_ratio(np.bincount(first), shares_of(arms)) > 1e-6
    assert (first == assign(Experiment(b"e" * 16, arms), users)).all()
    assert 0.3 < (first == other).mean() < 0.46
    out = held_out(b"t" * 16, users, MlSettings(holdout=HoldoutShares(0.5, 0.0))) > 0
    assert abs(out[first == 0].mean() - 0.5) < 0.03


def test_an_arm_switches_off_and_never_on():
    off = MlSettings(enabled=FeatureSwitches(send_time=False))
    both = settings_in(Arm("x", exploration=0.2, without=("channel",)), off)
    assert both == MlSettings(exploration=0.2, enabled=FeatureSwitches(send_time=False, channel=False))
    assert settings_in(Arm("x"), off) == off
