"""What other policies would bring a tenant, by what its own messages tried with known odds.

Two samples of the same messages say it. All of those that might have tried something say what is served, and what
taking the best each time would bring: only 1 in 20 is unlike it. Those that did try say what a fixed channel or fixed
hours would bring: that they tried was chance alone, so they are like the rest, and their odds under trying are large
enough to divide by, which 5 % of them would not be (weights of 20 and more). Their odds are kept with the decision.

Each fixed policy is judged on the messages that could have followed it; `reach` says how many those are. The best fixed
channel and hours are found on one half of the users and judged on the other, or they would be praised for luck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.training.arms import FloatArray, Trial, fit_logistic
from clarion.intelligence.training.estimate import CLIP, LEAST_ESS, Estimate, Logged, estimate
from clarion.intelligence.training.lift import LOOKED_AT
from clarion.kernel.dice import fractions
from clarion.kernel.local_time import IntArray

BANDS: Final = ("00-06", "06-12", "12-18", "18-24")
MOST_DECISIONS: Final = 200_000
"""The latest ones are looked at; they take 30 MB."""

_SALT: Final = 48
_NEAR: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """T messages that tried something. Odds under trying: `channels` [T, C], `bands` [T, 4], `soon` [T].

    `row` [T]: their rows among all decisions; `channel`, `band` [T]: what each took, and `was_soon` [T].
    """

    row: IntArray
    channels: FloatArray
    bands: FloatArray
    soon: FloatArray
    channel: IntArray
    band: IntArray
    was_soon: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """N messages that might have tried something, of users who are not held out.

    `users` [N]; `answered` [N], 0 or 1; `propensity` [N] of what was taken, which was the best or not (`is_best` [N]);
    `score` [N]: the best that was expected.
    """

    users: IntArray
    answered: FloatArray
    propensity: FloatArray
    is_best: BoolArray
    score: FloatArray
    trials: Trials


class PolicyValue(msgspec.Struct, frozen=True):
    """What a policy brings in answers per message. `low` and `high` may be looked at every day; None: see `reason`.

    `reach`: share of the messages that could follow it. `reason`: why nothing is concluded, or of what to beware.
    """

    policy: str
    estimate: Estimate | None
    low: float | None
    high: float | None
    reach: float
    reason: str


class PolicyReport(msgspec.Struct, frozen=True):
    """The values of policies on `decisions` messages of `users`, of which `tried` tried something."""

    decisions: int
    users: int
    tried: int
    policies: list[PolicyValue]


def value_policies(decisions: Decisions) -> PolicyReport:
    """What is served, and what else there might be. Pure; a second for 200,000 decisions."""
    rows, trials = len(decisions.answered), decisions.trials
    values = [_served(decisions), _greedy(decisions)]
    if len(trials.row):
        soon = np.stack([trials.soon, 1 - trials.soon], axis=1)
        values += _fixed(decisions, "always {}", CHANNELS, (trials.channel, trials.channels))
        values += _fixed(decisions, "at {}", BANDS, (trials.band, trials.bands))
        values += _fixed(decisions, "{}", ("now", "later"), (1 - trials.was_soon, soon))[:1]
    return PolicyReport(rows, len(np.unique(decisions.users)), len(trials.row), values)


def _served(decisions: Decisions) -> PolicyValue:
    rows = len(decisions.answered)
    return _value("served", decisions, np.ones(rows), np.ones(rows)) if rows else _nothing("served")


def _greedy(decisions: Decisions) -> PolicyValue:
    if not len(decisions.answered):
        return _nothing("greedy")
    return _value("greedy", decisions, decisions.propensity, decisions.is_best.astype(np.float64))


def _value(name: str, decisions: Decisions, propensity: FloatArray, target: FloatArray) -> PolicyValue:
    """Of a policy of which it is known how often each message would have followed it."""
    expected = np.full(len(target), decisions.answered.mean())
    logged = Logged(decisions.answered, propensity, target, expected, expected, decisions.users)
    return _judged(name, estimate(logged), 1.0)


def _fixed(
    decisions: Decisions, naming: str, names: tuple[str, ...], odds: tuple[IntArray, FloatArray]
) -> list[PolicyValue]:
    """Each of these taken always, and the best of them."""
    taken, chances = odds
    rows = decisions.trials.row
    users = decisions.users[rows]
    half = fractions(users.astype(np.uint64), _SALT) < 0.5  # noqa: PLR2004  halves
    trial = Trial(
        taken,
        names,
        decisions.answered[rows],
        np.maximum(chances[np.arange(len(rows)), taken], _NEAR),
        _logit(decisions.score[rows])[:, None],
    )
    model = _cross_fit(trial, half)
    found = [
        _one_fixed(naming.format(name), trial, (nth, chances[:, nth] > _NEAR), (model, users))
        for nth, name in enumerate(names)
    ]
    rates = [_rate(trial, nth, (chances[:, nth] > _NEAR) & half) for nth in range(len(names))]
    best = int(np.argmax(rates))
    may = (chances[:, best] > _NEAR) & ~half
    judged = _one_fixed(f"best fixed: {naming.format(names[best])}", trial, (best, may), (model, users))
    # The half on which it was found says nothing of how many could follow it.
    return [*found, msgspec.structs.replace(judged, reach=found[best].reach)]


def _one_fixed(
    name: str, trial: Trial, arm: tuple[int, BoolArray], known: tuple[FloatArray, IntArray]
) -> PolicyValue:
    nth, may = arm
    model, users = known
    rows = np.flatnonzero(may)
    if not rows.size:
        return _nothing(name)
    some = trial.where(rows)
    logged = Logged(
        some.reward,
        some.propensity,
        (some.arm == nth).astype(np.float64),
        model[rows, some.arm],
        model[rows, nth],
        users[rows],
    )
    return _judged(name, estimate(logged), len(rows) / len(trial.arm))


def _cross_fit(trial: Trial, half: BoolArray) -> FloatArray:
    """What each arm is expected to bring each row, [N, arms], by a model that saw other users only."""
    model = np.zeros((len(trial.arm), len(trial.arms)))
    for asked in (half, ~half):
        seen, asks = trial.where(np.flatnonzero(~asked)), trial.where(np.flatnonzero(asked))
        for arm in range(len(trial.arms)):
            model[asked, arm] = fit_logistic(seen, arm)(asks.features) if (seen.arm == arm).any() else 0.0
    return model


def _rate(trial: Trial, arm: int, rows: BoolArray) -> float:
    """Self-normalised mean reward of an arm on some rows."""
    weight = (1 / trial.propensity) * ((trial.arm == arm) & rows)
    return float((weight * trial.reward).sum() / weight.sum()) if weight.any() else -1.0


def _judged(name: str, found: Estimate, reach: float) -> PolicyValue:
    if not found.is_enough:
        reason = f"too little: {found.ess:.0f} effective decisions, and {LEAST_ESS:.0f} are needed"
        return PolicyValue(name, None, None, None, round(reach, 4), reason)
    spread = LOOKED_AT * found.dr_se
    clipped = f"{found.clipped:.1%} of the weights are clipped at {CLIP:.0f}" if found.clipped else ""
    low, high = max(found.dr - spread, 0.0), min(found.dr + spread, 1.0)
    return PolicyValue(name, found, low, high, round(reach, 4), clipped)


def _nothing(name: str) -> PolicyValue:
    return PolicyValue(name, None, None, None, 0.0, "too little: no message could have followed it")


def _logit(score: FloatArray) -> FloatArray:
    inside = np.clip(score, 1e-3, 1 - 1e-3)
    return np.log(inside / (1 - inside))
