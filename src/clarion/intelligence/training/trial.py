"""Judging exploration and off-policy estimates on a randomised trial, as rows like those of `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.training.arms import (
    POLICIES,
    ROUNDS,
    SHORT,
    Contextual,
    Replayed,
    Trial,
    estimate_fixed,
    fit_logistic,
    judge_contextual,
    replay,
)
from clarion.intelligence.training.estimate import LEAST_ESS, Z95
from clarion.intelligence.training.evaluate.report import Row
from clarion.kernel.errors import Invalid

FloatArray = npt.NDArray[np.float64]

ARM_NAMES: Final = ("arm", "action", "treatment", "segment")
REWARD_NAMES: Final = ("reward", "outcome", "visit", "click", "conversion")
OUTCOMES: Final = frozenset({"visit", "conversion", "spend", "click", "reward", "outcome"})
"""Columns that came after the arm was drawn: none of them is known of a person before."""

PROPENSITY: Final = "propensity"
LEAST_ROWS: Final = 500
_THOMPSON_SHARE: Final = 0.73
"""Of the way from drawing any arm to the best one: 17.3 % where that is from 14.7 to 18.3 %."""
_THOMPSON_AIM: Final = 0.81
_MOST_LEVELS: Final = 20
_SE_FLOOR: Final = 2.0


class TrialReport(msgspec.Struct, frozen=True):
    """What came of it. `ok`: every row of which something is asked is where it has to be."""

    ok: bool
    arms: tuple[str, ...]
    rows: tuple[Row, ...]
    trials: int
    contextual: Contextual


def read_trial(
    columns: Mapping[str, Sequence[str]], arm: str | None = None, reward: str | None = None
) -> Trial:
    """The trial of a table's columns (texts). `arm`, `reward`: their names; None: the first that is usual.

    Without a column `propensity` arms were drawn by their shares. Raises Invalid where a column is missing, a reward is
    not a number from 0 to 1, an odds not above 0, or there are too few rows.
    """
    arm_name = _choose(columns, arm, ARM_NAMES, "the arm that was drawn")
    reward_name = _choose(columns, reward, REWARD_NAMES, "what came of it")
    arms, where = np.unique(np.array(columns[arm_name]), return_inverse=True)
    if len(where) < LEAST_ROWS or len(arms) < 2:  # noqa: PLR2004  one arm is no choice
        raise Invalid(f"a trial needs {LEAST_ROWS} rows and two arms: there are {len(where)} and {len(arms)}")
    rewards = _numbers(reward_name, columns[reward_name])
    if rewards.min() < 0 or rewards.max() > 1:
        raise Invalid(f"{reward_name} has to be from 0 to 1", reward_name)
    shares = np.bincount(where) / len(where)
    odds = _numbers(PROPENSITY, columns[PROPENSITY]) if PROPENSITY in columns else shares[where]
    if odds.min() <= 0 or odds.max() > 1:
        raise Invalid("propensity has to be above 0, and 1 at most", PROPENSITY)
    known = [name for name in columns if name not in {arm_name, reward_name, PROPENSITY, *OUTCOMES}]
    return Trial(
        where.astype(np.int64), tuple(arms.tolist()), rewards, odds, _features([columns[n] for n in known])
    )


def judge_trial(trial: Trial) -> TrialReport:
    """Replays, off-policy estimates, and whether knowing people brings lift. Pure; takes seconds."""
    contextual = judge_contextual(trial)
    rows = (*_rows_of_replays(trial), *_rows_of_estimates(trial), *_rows_of_context(contextual))
    return TrialReport(
        ok=all(row.ok for row in rows if row.ok is not None),
        arms=trial.arms,
        rows=rows,
        trials=len(trial.arm),
        contextual=contextual,
    )


def _rows_of_replays(trial: Trial) -> Iterator[Row]:
    rates = trial.rates
    any_arm, best = float(rates.mean()), float(rates.max())
    for name, rate in zip(trial.arms, rates.tolist(), strict=True):
        yield Row(
            f"true rate: {name}", _percent(rate), answers=int((trial.arm == trial.arms.index(name)).sum())
        )
    for name, draw in POLICIES.items():
        found = replay(trial, draw)
        yield _replayed(name, found, any_arm, best)


def _replayed(name: str, found: Replayed, any_arm: float, best: float) -> Row:
    floor = aim = None
    ok: bool | None = None
    note = f"{found.best_share:.0%} of decisions took the best arm"
    if found.decisions < ROUNDS * SHORT:
        note = f"the rows end after {found.decisions} of {ROUNDS} decisions"
    elif name == "thompson":
        floor = any_arm + _THOMPSON_SHARE * (best - any_arm)
        aim = any_arm + _THOMPSON_AIM * (best - any_arm)
        ok = found.reward >= floor
    return Row(
        f"exploration replayed: {name}",
        _percent(found.reward),
        _percent(found.reward - Z95 * found.se),
        _percent(found.reward + Z95 * found.se),
        None if floor is None else _percent(floor),
        _percent(any_arm),
        ok,
        aim=None if aim is None else _percent(aim),
        baseline_is="any arm",
        answers=found.decisions,
        note=note,
    )


def _rows_of_estimates(trial: Trial) -> Iterator[Row]:
    """Each arm as the logs of one half of the rows estimate it, against its true rate in the other half."""
    order = np.random.default_rng(7).permutation(len(trial.arm))
    logs, truth = trial.where(order[: len(order) // 2]), trial.where(order[len(order) // 2 :])
    # The model that DR leans on has seen none of the rows that it is asked about.
    model = np.stack([fit_logistic(truth, arm)(logs.features) for arm in range(len(trial.arms))], axis=1)
    for nth, name in enumerate(trial.arms):
        found = estimate_fixed(logs, nth, model)
        taken = truth.reward[truth.arm == nth]
        true_se = float(taken.std(ddof=1) / np.sqrt(len(taken)))
        for way, value, se in (
            ("IPS", found.ips, found.ips_se),
            ("SNIPS", found.snips, found.snips_se),
            ("DR", found.dr, found.dr_se),
        ):
            apart = abs(value - float(taken.mean())) / float(np.hypot(se, true_se))
            yield Row(
                f"off-policy estimate of {name}: {way}",
                round(apart, 2),
                floor=_SE_FLOOR,
                ok=apart <= _SE_FLOOR if found.ess >= LEAST_ESS else None,
                unit="standard errors",
                answers=int(found.ess),
                note=f"estimated {_percent(value)} %, truly {_percent(float(taken.mean()))} %",
            )


def _rows_of_context(found: Contextual) -> Iterator[Row]:
    """Whether choosing by person beats the best fixed arm. Either answer is right, if it is the data's."""
    yield Row(
        "choosing by person, less the best fixed arm (DR)",
        _percent(found.difference),
        _percent(found.low),
        _percent(found.high),
        unit="points",
        baseline=0.0,
        baseline_is="the best fixed arm",
        answers=found.policy.rows,
        note=found.verdict,
    )


def _choose(columns: Mapping[str, Any], given: str | None, usual: Sequence[str], what: str) -> str:
    for name in (given,) if given else usual:
        if name in columns:
            return name
    told = given or ", ".join(usual)
    raise Invalid(f"there is no column with {what} ({told}); the file has {', '.join(columns)}", given or "")


def _numbers(name: str, values: Sequence[str]) -> FloatArray:
    try:
        found = np.array(values, np.float64)
    except ValueError as error:
        raise Invalid(f"{name} has to hold numbers: {error}", name) from None
    if not np.isfinite(found).all():
        row = int(np.flatnonzero(~np.isfinite(found))[0])
        raise Invalid(f"{name} is not a number", f"rows[{row}].{name}")
    return found


def _features(columns: Sequence[Sequence[str]]) -> FloatArray:
    """Numbers standardised, words as one column a level; words of too many levels are left out."""
    found: list[FloatArray] = []
    for values in columns:
        try:
            found.append(np.nan_to_num(np.array(values, np.float64)))
        except ValueError:
            levels = np.unique(np.array(values))
            if len(levels) <= _MOST_LEVELS:
                found += [(np.array(values) == level).astype(np.float64) for level in levels[1:].tolist()]
    if not found:
        return np.zeros((len(columns[0]) if columns else 0, 0))
    table = np.column_stack(found)
    spread = table.std(axis=0)
    return (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _percent(value: float) -> float:
    return round(100 * value, 2)
