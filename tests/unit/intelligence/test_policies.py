"""What other policies would bring, in a world in which that is known."""

from __future__ import annotations

import numpy as np
import pytest

from clarion.intelligence.training.policies import Decisions, PolicyValue, Trials, value_policies

RATES = np.array([0.10, 0.16, 0.06])
RATE = 0.05


def world(seed: int, rows: int) -> Decisions:
    """Messages to users who differ; the second channel is best of all and the first is what is served."""
    chance = np.random.default_rng((48, seed))
    users = chance.integers(0, rows // 8, rows)
    ease = chance.normal(0, 0.02, rows // 8)[users]
    odds = chance.dirichlet((8, 8, 4), rows) * 0.94 + 0.02
    tried = chance.random(rows) < RATE
    drawn = (chance.random(rows)[:, None] > odds.cumsum(1)).sum(1).clip(max=2)
    taken = np.where(tried, drawn, 0)
    answered = (chance.random(rows) < np.clip(RATES[taken] + ease, 0, 1)).astype(np.float64)
    is_best = taken == 0
    row = np.flatnonzero(tried)
    bands = np.full((len(row), 4), 0.25)
    return Decisions(
        users=users,
        answered=answered,
        propensity=np.where(is_best, 1 - RATE * (1 - odds[:, 0]), RATE * drawn),
        is_best=is_best,
        score=np.clip(0.1 + ease, 0, 1),
        trials=Trials(
            row=row,
            channels=odds[row],
            bands=bands,
            soon=np.full(len(row), 0.08),
            channel=taken[row],
            band=chance.integers(0, 4, len(row)),
            was_soon=chance.random(len(row)) < 0.08,
        ),
    )


def by_name(decisions: Decisions) -> dict[str, PolicyValue]:
    return {value.policy: value for value in value_policies(decisions).policies}


def test_intervals_hold_the_truth_in_95_of_100_worlds():
    held: dict[str, int] = dict.fromkeys(("greedy", "always email", "always push"), 0)
    for seed in range(100):
        found = by_name(world(seed, 60_000))
        for name, truth in (("greedy", RATES[0]), ("always email", RATES[0]), ("always push", RATES[1])):
            value = found[name]
            assert value.low is not None
            assert value.high is not None
            held[name] += value.low <= truth <= value.high
    assert min(held.values()) >= 95


def test_what_serves_and_the_best_fixed_channel_are_named():
    found = by_name(world(1, 100_000))
    served, best = found["served"].estimate, found["best fixed: always push"].estimate
    assert served is not None
    assert best is not None
    assert served.ips == pytest.approx(served.snips)
    assert best.dr > served.dr
    assert {name for name in found if name.startswith("at ")} == {
        "at 00-06",
        "at 06-12",
        "at 12-18",
        "at 18-24",
    }
    assert "now" in found


def test_little_is_refused_with_the_reason():
    found = by_name(world(2, 4_000))
    value = found["always sms"]
    assert (value.estimate, value.low, value.high) == (None, None, None)
    assert value.reason.startswith("too little: ")
    assert value.reason.endswith("and 500 are needed")
    assert found["served"].estimate is not None


def test_what_was_clipped_is_said():
    decisions = world(3, 100_000)
    odd = decisions.trials.channels.copy()
    odd[:, 0], odd[:, 1] = 0.97, 0.01
    trials = Trials(
        decisions.trials.row,
        odd,
        decisions.trials.bands,
        decisions.trials.soon,
        decisions.trials.channel,
        decisions.trials.band,
        decisions.trials.was_soon,
    )
    changed = Decisions(
        decisions.users,
        decisions.answered,
        decisions.propensity,
        decisions.is_best,
        decisions.score,
        trials,
    )
    assert "clipped at 20" in by_name(changed)["always push"].reason


def test_nothing_was_decided():
    none, empty = np.zeros(0), np.zeros(0, np.int64)
    trials = Trials(empty, np.zeros((0, 3)), np.zeros((0, 4)), none, empty, empty, empty.astype(np.bool_))
    report = value_policies(Decisions(empty, none, none, empty.astype(np.bool_), none, trials))
    assert (report.decisions, report.tried) == (0, 0)
    assert all(value.estimate is None for value in report.policies)
