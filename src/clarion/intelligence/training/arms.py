"""Replaying ways to explore on randomised data, and asking whether knowing people brings more than the best arm.

A replay (Li and others, 2011) walks through rows whose arm was drawn by chance; where a policy would have drawn the
same arm, the row's reward is its own, and else the row is as if it had never been. So a policy is judged on rewards
that real people gave, without a model of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.training.estimate import Estimate, Logged, estimate
from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float64]

EPSILON: Final = 0.1
ROUNDS: Final = 6_000
"""Decisions of one replay."""

REPLAYS: Final = 20
SEED: Final = 2026
SHORT: Final = 0.5
"""A replay that finds fewer of its decisions than this among the rows says nothing."""

_RIDGE: Final = 1.0
_STEPS: Final = 12

Draw = Callable[[np.random.Generator, FloatArray, FloatArray], int]
"""Which arm a policy takes, by how often each was tried and what that brought."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """N rows of randomised data. `arm` [N]: index in `arms`; `reward` [N], 0 to 1; `propensity` [N] of the arm.

    `features` [N, F]: what was known of each person before, standardised.
    """

    arm: IntArray
    arms: tuple[str, ...]
    reward: FloatArray
    propensity: FloatArray
    features: FloatArray

    @property
    def rates(self) -> FloatArray:
        """The mean reward of each arm."""
        return np.array([self.reward[self.arm == nth].mean() for nth in range(len(self.arms))])

    def where(self, rows: IntArray) -> Trial:
        """Some of the rows."""
        return Trial(self.arm[rows], self.arms, self.reward[rows], self.propensity[rows], self.features[rows])


class Replayed(msgspec.Struct, frozen=True):
    """The mean reward of a policy over `REPLAYS` replays, its standard error, and its share of the best arm."""

    reward: float
    se: float
    best_share: float
    decisions: int


class Contextual(msgspec.Struct, frozen=True):
    """What a policy that looks at people would bring, against the best fixed arm, on rows it was not fitted to."""

    policy: Estimate
    fixed: Estimate
    difference: float
    low: float
    high: float
    verdict: str


def uniform(chance: np.random.Generator, tried: FloatArray, won: FloatArray) -> int:
    """Any arm, all alike."""
    del won
    return int(chance.integers(len(tried)))


def epsilon_greedy(chance: np.random.Generator, tried: FloatArray, won: FloatArray) -> int:
    """The best arm so far, and any of them `EPSILON` of the time; first each once."""
    if not tried.all():
        return int(tried.argmin())
    if chance.random() < EPSILON:
        return int(chance.integers(len(tried)))
    return int((won / tried).argmax())


def thompson(chance: np.random.Generator, tried: FloatArray, won: FloatArray) -> int:
    """The arm whose draw from its Beta posterior is highest (Thompson, 1933)."""
    return int(chance.beta(1 + won, 1 + tried - won).argmax())


POLICIES: Final[dict[str, Draw]] = {
    "uniform": uniform,
    "epsilon-greedy": epsilon_greedy,
    "thompson": thompson,
}


def replay(trial: Trial, draw: Draw, rounds: int = ROUNDS, replays: int = REPLAYS) -> Replayed:
    """How a policy does in decisions on these rows, each replay in an order of its own.

    Where arms were not drawn alike, rows are thinned until they are. Fewer than `rounds` decisions are made where the
    rows end before.
    """
    best = int(trial.rates.argmax())
    means: list[float] = []
    shares: list[float] = []
    made = 0
    for nth in range(replays):
        chance = np.random.default_rng((SEED, nth))
        tried, won = _replay_once(trial, draw, rounds, chance)
        made += int(tried.sum())
        means.append(float(won.sum() / max(tried.sum(), 1)))
        shares.append(float(tried[best] / max(tried.sum(), 1)))
    spread = float(np.std(means, ddof=1) / np.sqrt(replays)) if replays > 1 else float("inf")
    return Replayed(float(np.mean(means)), spread, float(np.mean(shares)), made // replays)


def _replay_once(
    trial: Trial, draw: Draw, rounds: int, chance: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    tried, won = np.zeros(len(trial.arms)), np.zeros(len(trial.arms))
    kept = chance.random(len(trial.arm)) < trial.propensity.min() / trial.propensity
    rows = chance.permutation(np.flatnonzero(kept))
    left = rounds
    choice = draw(chance, tried, won)
    for arm, reward in zip(trial.arm[rows].tolist(), trial.reward[rows].tolist(), strict=True):
        if arm != choice:
            continue
        tried[arm] += 1
        won[arm] += reward
        left -= 1
        if not left:
            break
        choice = draw(chance, tried, won)
    return tried, won


def estimate_fixed(trial: Trial, arm: int, model: FloatArray | None = None) -> Estimate:
    """What always taking one arm would bring. `model` [N, arms]: rewards that a model expects, None without one."""
    expected, value = np.zeros(len(trial.arm)), np.zeros(len(trial.arm))
    if model is not None:
        expected, value = model[np.arange(len(trial.arm)), trial.arm], model[:, arm]
    target = (trial.arm == arm).astype(np.float64)
    return estimate(Logged(trial.reward, trial.propensity, target, expected, value))


def judge_contextual(trial: Trial) -> Contextual:
    """Fit what each arm brings to whom on half of the rows, take the best for each, and judge on the other half."""
    order = np.random.default_rng(SEED).permutation(len(trial.arm))
    half = len(order) // 2
    fitted, held = trial.where(order[:half]), trial.where(order[half:])
    expects = np.stack([fit_logistic(fitted, arm)(held.features) for arm in range(len(trial.arms))], axis=1)
    wish, fixed = expects.argmax(axis=1), int(fitted.rates.argmax())
    rows = np.arange(len(held.arm))
    expected = expects[rows, held.arm]
    target = (held.arm == wish).astype(np.float64)
    policy = Logged(held.reward, held.propensity, target, expected, expects[rows, wish])
    # Of the same rows: the difference of both estimates, row by row.
    gain = policy.value - expects[:, fixed]
    gain += (target - (held.arm == fixed)) / held.propensity * (held.reward - expected)
    middle, spread = float(gain.mean()), 1.96 * float(gain.std(ddof=1) / np.sqrt(len(gain)))
    verdict = "lift" if middle - spread > 0 else "harm" if middle + spread < 0 else "no lift"
    return Contextual(
        estimate(policy),
        estimate_fixed(held, fixed, expects),
        middle,
        middle - spread,
        middle + spread,
        verdict,
    )


def fit_logistic(trial: Trial, arm: int) -> Callable[[FloatArray], FloatArray]:
    """Rewards of one arm by features: logistic regression with a ridge, by Newton's steps."""
    rows = trial.arm == arm
    columns = _with_constant(trial.features[rows])
    reward = trial.reward[rows]
    weights = np.zeros(columns.shape[1])
    ridge = _RIDGE * np.eye(columns.shape[1])
    ridge[0, 0] = 1e-6
    for _ in range(_STEPS):
        rate = 1 / (1 + np.exp(-np.clip(columns @ weights, -30, 30)))
        slope = columns.T @ (reward - rate) - ridge @ weights
        bend = (columns * (rate * (1 - rate))[:, None]).T @ columns + ridge
        weights += np.linalg.solve(bend, slope)

    def expect(features: FloatArray) -> FloatArray:
        return 1 / (1 + np.exp(-np.clip(_with_constant(features) @ weights, -30, 30)))

    return expect


def _with_constant(features: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(features)), features])
