"""Scores: how good an account is for a message, from its live figures and its price. Pure.

    score = latency · (1 − p99 / 2 s) + errors · (1 − error rate) + cost · (1 − price / $0.01), each term from 0 to 1

The error rate counts what the vendor failed to take and what it could not deliver afterwards. How much each term
weighs follows from the tenant's policy; for urgent messages speed and certainty go before money, whatever it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from clarion.delivery.figures import Estimate
from clarion.tenancy.routing import PolicyName

SLOW_MS: Final = 2_000.0
"""At this p99 an account has nothing left to lose for latency."""

DEAR_MICROS: Final = 10_000.0
"""At this price, $0.01, it has nothing left to lose for cost; or at the dearest candidate's, where that is dearer.

Text messages cost many times that to most countries: they are to be told apart by price, too.
"""


class Weights(msgspec.Struct, frozen=True):
    """How much each term of a score counts; together 1. `dear_micros`: the price at which the last is used up."""

    latency: float
    errors: float
    cost: float
    dear_micros: float = DEAR_MICROS


URGENT: Final = Weights(0.4, 0.5, 0.1)
"""Of messages of priority 0 to 2."""

WEIGHTS: Final[Mapping[PolicyName, Weights]] = {
    "balanced": Weights(0.3, 0.4, 0.3),
    "cost_optimized": Weights(0.2, 0.3, 0.5),
    "fastest": Weights(0.7, 0.3, 0.0),
    # These choose by what they were told; the others are asked by score when none of those works.
    "ordered": Weights(0.3, 0.4, 0.3),
    "split": Weights(0.3, 0.4, 0.3),
}


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An account as it was compared with others for a message. `price_micros`: of one message, of SMS one segment."""

    provider: str
    score: float
    delivery_rate: float
    p99_ms: int
    price_micros: int


def score(estimate: Estimate, price_micros: float, weights: Weights) -> float:
    """How good an account is, from 0 to 1."""
    slowness = min(1.0, estimate.p99_ms / SLOW_MS)
    dearness = min(1.0, price_micros / weights.dear_micros)
    return (
        weights.latency * (1.0 - slowness)
        + weights.errors * estimate.delivery_rate
        + weights.cost * (1.0 - dearness)
    )


def candidate(name: str, estimate: Estimate, price_micros: int, weights: Weights) -> Candidate:
    """An account with its score, rounded as a trace shows it."""
    return Candidate(
        name,
        round(score(estimate, price_micros, weights), 4),
        round(estimate.delivery_rate, 4),
        round(estimate.p99_ms),
        price_micros,
    )
