"""What an experiment shows: each arm against the first, with intervals that may be looked at whenever one likes.

An interval of 95 % that is looked at each day until it says something is wrong in far more than 5 % of experiments. The
one here holds at all looks together. With d the difference of means by user, V its variance and τ the size of effect
that matters,

    half width = √( V·(V + τ²) / τ² · ln((V + τ²) / (V·ALPHA²)) )

which is the mixture sequential probability ratio test turned around, with a normal mixture of variance τ² (Robbins,
1970; Johari, Koomen, Pekelis and Walsh, "Always Valid Inference", Operations Research 70(3), 2022). It is about half as
wide again as the interval of one look. Several arms share ALPHA.
"""

from __future__ import annotations

import math
from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.training.lift import LEAST_USERS, adjust
from clarion.kernel.local_time import IntArray

FloatArray: TypeAlias = npt.NDArray[np.float64]

ALPHA: Final = 0.05
LEAST_EFFECT: Final = 0.01
"""Difference in share of messages answered that matters, where nobody says another."""

MISMATCH: Final = 0.001
"""Probability of shares this odd, below which who was counted is not who was assigned."""

_POWER: Final = 1.959964 + 0.841621  # 95 % and 80 %

ArmVerdict: TypeAlias = Literal[
    "better", "worse", "no difference seen yet", "no lift", "sample ratio mismatch"
]


class ArmResult(msgspec.Struct, frozen=True):
    """An arm: its users, mean share of messages answered, and by how much that differs from the first arm's.

    The first has no difference. `least_seen`: the smallest difference that as many users would show in 4 of 5
    experiments, at one look. `verdict`: `better` or `worse` where the interval excludes nothing; `no lift`: it
    excludes an improvement that matters.
    """

    name: str
    users: int
    mean: float
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    least_seen: float | None = None
    verdict: ArmVerdict | None = None


class ExperimentResult(msgspec.Struct, frozen=True):
    """The arms in order. `ratio_p`: probability of numbers of users as far from the shares as these by chance.

    `reduced`: share of the variance that was known from before (CUPED).
    """

    arms: list[ArmResult]
    ratio_p: float
    reduced: float


class Observed(msgspec.Struct, frozen=True):
    """What came of N users: `arm` [N], `outcome` [N], and the same from `before` the experiment [N] (None: unknown)."""

    arm: IntArray
    outcome: FloatArray
    before: FloatArray | None = None


def analyse(
    observed: Observed, names: list[str], shares: list[float], least_effect: float = LEAST_EFFECT
) -> ExperimentResult:
    """The result of an experiment with these arms and shares (summing to 1). Pure."""
    adjusted, reduced = adjust(observed.outcome, observed.before)
    counts = np.bincount(observed.arm, minlength=len(names))
    ratio_p = sample_ratio(counts, shares)
    groups = [adjusted[observed.arm == nth] for nth in range(len(names))]
    alpha = ALPHA / (len(names) - 1)
    arms = [ArmResult(names[0], int(counts[0]), _mean(groups[0]))]
    for name, group in zip(names[1:], groups[1:], strict=True):
        known = ArmResult(name, len(group), _mean(group))
        arms.append(_compare(known, (groups[0], group), least_effect, (alpha, ratio_p)))
    return ExperimentResult(arms, ratio_p, reduced)


def half_width(variance: float, effect: float, alpha: float = ALPHA) -> float:
    """Half the width of the interval that holds at all looks together, of a difference with this variance."""
    mixed = variance + effect**2
    return math.sqrt(variance * mixed / effect**2 * math.log(mixed / (variance * alpha**2)))


def sample_ratio(counts: IntArray, shares: list[float]) -> float:
    """Probability of counts as far from the shares as these: Pearson's χ²."""
    total = int(counts.sum())
    if not total:
        return 1.0
    wanted = np.array(shares) * total
    return _chi2_tail(float((np.square(counts - wanted) / wanted).sum()), len(shares) - 1)


def _compare(
    known: ArmResult, groups: tuple[FloatArray, FloatArray], least_effect: float, by: tuple[float, float]
) -> ArmResult:
    alpha, ratio_p = by
    control, group = groups
    if min(len(control), len(group)) < LEAST_USERS:
        return msgspec.structs.replace(known, verdict="no difference seen yet")
    variance = float(control.var(ddof=1) / len(control) + group.var(ddof=1) / len(group))
    if not variance:  # nobody answered, or everybody: how far that is chance cannot be told from it
        return msgspec.structs.replace(known, verdict="no difference seen yet")
    difference = known.mean - _mean(control)
    spread = half_width(variance, least_effect, alpha)
    low, high = difference - spread, difference + spread
    return msgspec.structs.replace(
        known,
        difference=difference,
        low=low,
        high=high,
        least_seen=_POWER * math.sqrt(variance),
        verdict=_verdict(low, high, least_effect, ratio_p),
    )


def _verdict(low: float, high: float, least_effect: float, ratio_p: float) -> ArmVerdict:
    if ratio_p < MISMATCH:
        return "sample ratio mismatch"
    if low > 0:
        return "better"
    if high < 0:
        return "worse"
    return "no lift" if high < least_effect else "no difference seen yet"


def _chi2_tail(statistic: float, freedom: int) -> float:
    """P(χ² > statistic), by the recursion Q(k + 2) = Q(k) + (x/2)^(k/2)·e^(-x/2) / Γ(k/2 + 1)."""
    half = statistic / 2
    odd = freedom % 2
    tail = math.erfc(math.sqrt(half)) if odd else math.exp(-half)
    for k in range(1 if odd else 2, freedom, 2):
        tail += half ** (k / 2) * math.exp(-half) / math.gamma(k / 2 + 1)
    return min(tail, 1.0)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else 0.0
