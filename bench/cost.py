"""`cost`: what one notification costs, from its text to the sum that its tenant's report reads.

A text message is looked at (alphabet, segments, country), priced through its account, and counted; that is done for
each message before and after its call. In one process, no store: stores are told once a second, or once a portion.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from bench.harness import Result, finish, percentile, say
from clarion.delivery.costs import CostKey, CostLine, CostMeter
from clarion.delivery.model import Message
from clarion.delivery.prices import price_messages
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import Prices

BAR_MS: Final = 1.0
ROUNDS: Final = 200_000
NOW_MS: Final = 1_795_000_000_000

_TENANT: Final = bytes(16)
_ACCOUNT: Final = ProviderConfig(
    "texts", _TENANT, "twilio", "sms", {}, {}, prices=(Prices(by_country={"FR": 60_000, "DE": 70_000}),)
)
_NUMBERS: Final = ("+33612345678", "+4915123456789", "+14155550123", "+447700900123", "+393451234567")
_TEXTS: Final = (
    "Your code is 123456. It is valid for ten minutes.",
    "Your parcel is on its way and arrives tomorrow between 9 and 12. Track it: https://shop.example/p/8731 "
    * 2,
    "Ihr Päckchen ist da 📦 und wartet in der Filiale auf Sie.",
)


class Measured(msgspec.Struct, frozen=True):
    """Milliseconds for one message, and how many a second one core prices by the portion."""

    p50_ms: float
    p99_ms: float
    per_s: float


def measure(rounds: int = ROUNDS) -> Measured:
    """Price and count messages one by one, then by portions of 500."""
    messages = [
        Message(bytes(16), _TENANT, "sms", 1, to=_NUMBERS[n % len(_NUMBERS)], body=_TEXTS[n % len(_TEXTS)])
        for n in range(rounds)
    ]
    meter = CostMeter()
    spans: list[float] = []
    for message in messages:
        began = time.perf_counter()
        _cost(meter, [message])
        spans.append((time.perf_counter() - began) * 1000)
    began = time.perf_counter()
    for start in range(0, rounds, 500):
        _cost(meter, messages[start : start + 500])
    return Measured(percentile(spans, 0.5), percentile(spans, 0.99), rounds / (time.perf_counter() - began))


def _cost(meter: CostMeter, messages: list[Message]) -> None:
    for price in price_messages(_ACCOUNT, messages, NOW_MS):
        key = CostKey(
            _TENANT, 20261122, _ACCOUNT.name, "sms", "transactional", price.destination, is_test=False
        )
        meter.add(CostLine(key, 1, price.segments, price.micros, price.micros))


def run() -> Result:
    """Measure, and say so."""
    found = measure()
    say(f"p99 {found.p99_ms * 1000:.1f} µs, {found.per_s:,.0f} messages/s by the portion")
    return finish(
        Result(
            "cost",
            round(found.p99_ms, 4),
            "ms, p99",
            f"p99 < {BAR_MS:g} ms",
            found.p99_ms < BAR_MS,
            p50_ms=round(found.p50_ms, 4),
            p99_ms=round(found.p99_ms, 4),
            detail={"rounds": ROUNDS, "by_the_portion_per_s": round(found.per_s)},
        )
    )
