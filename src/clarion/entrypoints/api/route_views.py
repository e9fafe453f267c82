"""Why a provider was chosen, as the API shows it."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from clarion.delivery.ranking import Note
from clarion.orchestration.fan_out import MICROS


class CandidateView(msgspec.Struct, frozen=True):
    """A provider that was compared: what it scored, and by which live figures.

    `price` is that of one message, of SMS of one segment, in currency units. `delivery_rate` counts what was taken and
    not reported as undeliverable, 0 to 1; `p99_ms` is a call's.
    """

    provider: str
    score: float
    delivery_rate: float
    p99_ms: int
    price: Decimal


class RouteView(msgspec.Struct, frozen=True):
    """Why a provider was chosen.

    `reason`: `score`, `order`, `split` (what the policy says); `pin`; `passed_over` (a better one was not to be asked);
    `failover` (another one failed before); `trial` (to learn whether it is better by now). `destination`: the country,
    mail domain or push services that the figures are for, `*` where it cannot be told, `other` for a domain of few.
    `candidates`: the best first.
    """

    policy: str
    reason: str
    destination: str
    candidates: list[CandidateView]


def view_route(note: Note | None) -> RouteView | None:
    """The note of an attempt; None where there was no choice."""
    if note is None:
        return None
    candidates = [
        CandidateView(
            one.provider, one.score, one.delivery_rate, one.p99_ms, Decimal(one.price_micros) / MICROS
        )
        for one in note.candidates
    ]
    return RouteView(note.policy, note.reason, note.destination, candidates)
