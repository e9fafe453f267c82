"""How another policy would have done, of what was tried with known odds: off-policy estimates.

With reward r, the odds p of what was done, and the odds π that the other policy would have done it (w = π / p):

    IPS    = mean(w·r)                       unbiased, and wild where p is small
    SNIPS  = Σ w·r / Σ w                     steadier; slightly biased in small samples
    DR     = mean(v + w·(r − q))             q, v: what a model expects of what was done, and of the other policy

Weights are clipped at `CLIP`. The effective sample size (Σ w)² / Σ w² says how many rows speak of the other policy at
all; below `LEAST_ESS` nothing is concluded. After Horvitz and Thompson (1952), Swaminathan and Joachims (2015), and
Dudík, Langford and Li (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.kernel.local_time import IntArray

FloatArray = npt.NDArray[np.float64]

CLIP: Final = 20.0
"""Greatest weight of a row. What is clipped makes estimates too small, never wilder."""

LEAST_ESS: Final = 500.0
Z95: Final = 1.959964


@dataclass(frozen=True, slots=True, eq=False)
class Logged:
    """N decisions that were made with known odds.

    `reward` [N]; `propensity` [N]: of what was done, in (0, 1]; `target` [N]: odds that the other policy does the same;
    `expected` [N]: what a model expects of what was done, and `value` [N] of the other policy (zeros: no model).
    `users` [N]: whose they are, where one has several: errors are then as wide as users differ (None: each is alone).
    """

    reward: FloatArray
    propensity: FloatArray
    target: FloatArray
    expected: FloatArray
    value: FloatArray
    users: IntArray | None = None


class Estimate(msgspec.Struct, frozen=True):
    """The mean reward of a policy, by each way, with standard errors. `ess`: rows that speak of it."""

    ips: float
    ips_se: float
    snips: float
    snips_se: float
    dr: float
    dr_se: float
    ess: float
    clipped: float
    rows: int

    @property
    def is_enough(self) -> bool:
        """Whether anything may be concluded from it."""
        return self.ess >= LEAST_ESS

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, by the doubly robust estimate."""
        return self.dr - Z95 * self.dr_se, self.dr + Z95 * self.dr_se


def estimate(logged: Logged, clip: float = CLIP) -> Estimate:
    """What the other policy's mean reward would have been. Raises ValueError without rows, or with odds of nothing."""
    rows = len(logged.reward)
    if not rows or logged.propensity.min() <= 0:
        raise ValueError("estimates need rows, each with a propensity above 0")
    raw = logged.target / logged.propensity
    weight = np.minimum(raw, clip)
    total = max(float(weight.sum()), np.finfo(np.float64).tiny)
    weighted = weight * logged.reward
    snips = float(weighted.sum()) / total
    doubly = logged.value + weight * (logged.reward - logged.expected)
    return Estimate(
        ips=float(weighted.mean()),
        ips_se=_se(weighted, logged.users),
        snips=snips,
        snips_se=float(np.sqrt(np.square(_by_user(weight * (logged.reward - snips), logged.users)).sum()))
        / total,
        dr=float(doubly.mean()),
        dr_se=_se(doubly, logged.users),
        ess=total**2 / max(float(np.square(weight).sum()), np.finfo(np.float64).tiny),
        clipped=float((raw > clip).mean()),
        rows=rows,
    )


def difference(logged: Logged, clip: float = CLIP) -> tuple[float, float]:
    """How much better the other policy is than what was done, by the doubly robust estimate, and its standard error.

    Of the same rows, so that what makes both better cancels out.
    """
    weight = np.minimum(logged.target / logged.propensity, clip)
    gain = logged.value + weight * (logged.reward - logged.expected) - logged.reward
    return float(gain.mean()), _se(gain, logged.users)


def _se(values: FloatArray, users: IntArray | None) -> float:
    """Standard error of the mean of values that hang together by user."""
    apart = _by_user(values - values.mean(), users)
    if len(apart) < 2:  # noqa: PLR2004  one user says nothing of how users differ
        return float("inf")
    return float(np.sqrt(np.square(apart).sum() * len(apart) / (len(apart) - 1))) / len(values)


def _by_user(values: FloatArray, users: IntArray | None) -> FloatArray:
    """The sum of each user's values."""
    if users is None:
        return values
    _, which = np.unique(users, return_inverse=True)
    return np.bincount(which, values).astype(np.float64)
