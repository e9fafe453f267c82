"""Lift: what a feature brings, of users who were held out from it by chance. "No lift" is an answer.

    lift = mean(treated) − mean(held out)            per user, so that busy users do not count as many

CUPED (Deng and others, 2013) takes off what was known of each user before: with x her rate before, θ = cov(y, x) /
var(x), y − θ·(x − mean x) has the same mean and less noise.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

Z95: Final = 1.959964
LOOKED_AT: Final = 2.81
"""Width of an interval that is looked at every day of four weeks, in standard errors: 99.5 % at one look. Pocock's
bound for twenty looks at 95 % in all is 2.67, and looks at a window that slides hang together more."""

LEAST_USERS: Final = 100
"""Users of each side without whom nothing is concluded."""

Verdict: TypeAlias = Literal["lift", "no lift", "harm", "too little"]


class Lift(msgspec.Struct, frozen=True):
    """The difference of means, treated less held out, with its interval.

    `relative`: of the held-out mean (None where that is 0). `verdict`: `lift` or `harm` where the interval excludes
    nothing happening, `no lift` where it does not, `too little` where there are too few users to say. `reduced`: share
    of the variance that what was known before took off.
    """

    treated: float
    held_out: float
    difference: float
    low: float
    high: float
    relative: float | None
    verdict: Verdict
    users_treated: int
    users_held_out: int
    reduced: float

    def covers(self, difference: float) -> bool:
        """Whether the interval holds it."""
        return self.low <= difference <= self.high


def measure_lift(
    outcome: FloatArray, treated: BoolArray, before: FloatArray | None = None, z: float = Z95
) -> Lift:
    """The lift of a mean outcome [N] by user. `z`: half the width of the interval, in standard errors.

    `before` [N]: the same of her from before she was assigned, for CUPED. What came after would take the lift off, too.
    """
    adjusted, reduced = adjust(outcome, before)
    one, other = adjusted[treated], adjusted[~treated]
    enough = min(len(one), len(other)) >= LEAST_USERS
    difference = _mean(one) - _mean(other)
    spread = z * float(np.sqrt(_variance_of_mean(one) + _variance_of_mean(other)))
    # No interval of one user; infinity cannot be told in JSON.
    low, high = (difference - spread, difference + spread) if np.isfinite(spread) else (-1.0, 1.0)
    verdict: Verdict = (
        "too little" if not enough else "lift" if low > 0 else "harm" if high < 0 else "no lift"
    )
    base = _mean(outcome[~treated])
    return Lift(
        treated=_mean(outcome[treated]),
        held_out=base,
        difference=difference,
        low=low,
        high=high,
        relative=difference / base if base else None,
        verdict=verdict,
        users_treated=len(one),
        users_held_out=len(other),
        reduced=reduced,
    )


def adjust(outcome: FloatArray, before: FloatArray | None) -> tuple[FloatArray, float]:
    """An outcome [N] less what `before` [N] foretold of it (CUPED), and the share of its variance that was."""
    if before is None or len(outcome) < 2 or not before.var():  # noqa: PLR2004  no variance of one
        return outcome, 0.0
    theta = float(np.cov(outcome, before)[0, 1] / before.var(ddof=1))
    adjusted = outcome - theta * (before - before.mean())
    variance = float(outcome.var())
    return adjusted, 1 - float(adjusted.var()) / variance if variance else 0.0


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else 0.0


def _variance_of_mean(values: FloatArray) -> float:
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else float("inf")
