"""The sandbox does as it is told, and the same each time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.providers.sandbox import SandboxProvider, build_sandbox
from clarion.delivery.model import Message, Outcome
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import split_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.outside import outside
from clarion.testing.providers import ListSink
from tests.integration.providers.support import TENANT, email, send_one

Build = Callable[..., SandboxProvider]


def fixed(count: int, attempt: int = 1) -> list[Message]:
    """Messages with the same ids in each run."""
    ids = split_ids(
        b"".join((n * 0x9E3779B97F4A7C15 % 2**128).to_bytes(16, "big") for n in range(1, count + 1))
    )
    return [email(delivery_id=ident, attempt=attempt) for ident in ids]


@pytest.fixture
def receipts() -> ListSink:
    return ListSink()


@pytest_asyncio.fixture
async def build(clock: ManualClock, receipts: ListSink) -> AsyncGenerator[Build]:
    made: list[SandboxProvider] = []

    def make(**settings: Any) -> SandboxProvider:
        config = ProviderConfig("box", TENANT, "sandbox", "email", settings, {})
        made.append(build_sandbox(config, outside(clock, receipts)))
        return made[-1]

    yield make
    for provider in made:
        await provider.close()


def kinds(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(outcome.kind for outcome in outcomes)


async def test_it_records_what_it_takes(build: Build):
    provider = build()
    batch = fixed(3)
    outcomes = await provider.send(batch)
    assert list(provider.recorded) == batch
    assert (provider.taken, provider.counts) == (3, {"sent": 3})
    assert [outcome.provider_message_id for outcome in outcomes] == [one.delivery_id.hex() for one in batch]


async def test_it_keeps_the_latest_and_counts_all(build: Build):
    provider = build()
    batch = fixed(1000)
    for _ in range(3):
        await provider.send(batch)
    assert (len(provider.recorded), provider.taken) == (1000, 3000)


async def test_rates_are_kept_and_drawn_alike_each_time(build: Build):
    told = {"transient_rate": 0.2, "permanent_rate": 0.1, "ambiguous_rate": 0.05}
    first, again = await build(**told).send(fixed(1000)), await build(**told).send(fixed(1000))
    assert first == again
    counts = kinds(first)
    assert counts["transient"] == pytest.approx(200, abs=50)
    assert counts["permanent"] == pytest.approx(100, abs=40)
    assert counts["ambiguous"] == pytest.approx(50, abs=30)
    assert counts.total() == 1000


async def test_a_message_draws_alike_whatever_it_is_batched_with(build: Build):
    provider = build(transient_rate=0.5)
    whole = await provider.send(fixed(100))
    parts = [(await provider.send([message]))[0] for message in reversed(fixed(100))]
    assert whole == parts[::-1]


async def test_another_attempt_and_another_seed_draw_anew(build: Build):
    provider = build(transient_rate=0.5)
    first, second = await provider.send(fixed(200)), await provider.send(fixed(200, attempt=2))
    other = await build(transient_rate=0.5, seed=1).send(fixed(200))
    same = sum(a.kind == b.kind for a, b in zip(first, second, strict=True))
    seeded = sum(a.kind == b.kind for a, b in zip(first, other, strict=True))
    assert 60 < same < 140
    assert 60 < seeded < 140


async def test_every_retry_gets_through_in_the_end(build: Build):
    provider = build(transient_rate=0.9)
    left = fixed(50)
    for attempt in range(1, 400):
        left = [msgspec.structs.replace(message, attempt=attempt) for message in left]
        outcomes = await provider.send(left)
        left = [message for message, outcome in zip(left, outcomes, strict=True) if outcome.kind != "sent"]
        if not left:
            break
    assert provider.taken == 50


async def test_an_ambiguous_message_was_taken(build: Build):
    provider = build(ambiguous_rate=1)
    assert (await send_one(provider)).kind == "ambiguous"
    assert provider.taken == 1


async def test_a_call_fails_as_a_whole_when_the_vendor_is_down(build: Build):
    outcomes = await build(error_rate=1).send(fixed(10))
    assert {(outcome.kind, outcome.code) for outcome in outcomes} == {("transient", "sandbox_error")}
    provider = build(error_rate=0.5)
    calls = [kinds(await provider.send([message] * 3)) for message in fixed(60)]
    assert all(len(call) == 1 for call in calls)
    assert 15 < sum("sent" in call for call in calls) < 45


async def test_it_throttles_by_the_clock_and_says_when_to_come_back(build: Build, clock: ManualClock):
    provider = build(throttle_per_s=10)
    outcomes = await provider.send(fixed(25))
    assert kinds(outcomes) == {"sent": 10, "throttled": 15}
    assert outcomes[-1].retry_after_s == pytest.approx(0.1)
    clock.advance(0.5)
    assert kinds(await provider.send(fixed(25)))["sent"] == 5
    clock.advance(60)
    assert kinds(await provider.send(fixed(25)))["sent"] == 10


async def test_it_knows_a_repeat_if_told_so(build: Build):
    provider = build(idempotent=True, ambiguous_rate=1)
    assert provider.capabilities.idempotent
    message = email()
    outcomes = [(await provider.send([message]))[0].kind for _ in range(3)]
    assert outcomes == ["ambiguous", "sent", "sent"]
    assert provider.taken == 1


async def test_it_says_what_a_message_cost_if_told_so(build: Build):
    assert (await send_one(build(cost_micros=40))).cost_micros == 40
    assert (await send_one(build())).cost_micros == 0


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("delivered", ["delivered"]),
        ("engaged", ["delivered", "engaged"]),
        ("failed", ["failed"]),
        ("complained", ["delivered", "complained"]),
    ],
)
async def test_receipts_follow(
    build: Build, receipts: ListSink, clock: ManualClock, mode: str, expected: list[str]
):
    message = email()
    await build(receipts=mode).send([message])
    received = await receipts.received(len(expected))
    assert [receipt.kind for receipt in received] == expected
    assert {(receipt.delivery_id, receipt.at_ms) for receipt in received} == {
        (message.delivery_id, clock.now_ms())
    }
    assert len({receipt.receipt_id for receipt in received}) == len(expected)


async def test_receipts_come_in_batches_of_a_thousand_for_what_was_sent_alone(
    build: Build, receipts: ListSink
):
    provider = build(receipts="engaged", permanent_rate=0.25)
    sent = kinds(await provider.send(fixed(1000)))["sent"]
    await receipts.received(2 * sent)
    assert len(receipts.receipts) == 2 * sent
    assert [len(batch) for batch in receipts.batches] == [1000, 2 * sent - 1000]


async def test_receipts_are_offered_again_to_a_sink_that_was_away(build: Build, receipts: ListSink):
    provider = build(receipts="delivered")
    receipts.is_away = True
    await asyncio.gather(receipts.offered(), provider.send(fixed(3)))
    receipts.is_away = False
    await receipts.received(3)


async def test_close_reports_what_is_still_waiting(build: Build, receipts: ListSink):
    provider = build(receipts="delivered", receipt_delay_ms=3_600_000)
    await provider.send(fixed(3))
    assert receipts.receipts == []
    await provider.close()
    assert len(receipts.receipts) == 3


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"transient_rate": 1.5}, "settings.transient_rate"),
        ({"error_rate": -0.1}, "settings.error_rate"),
        ({"ambiguous_rate": float("nan")}, "settings.ambiguous_rate"),
        ({"latency_ms": -1}, "settings.latency_ms"),
        ({"latency_ms": float("inf")}, "settings.latency_ms"),
        ({"cost_micros": -1}, "settings.cost_micros"),
        ({"receipts": "sometimes"}, "settings.receipts"),
        ({"lattency_ms": 1}, "settings.lattency_ms"),
        ({"transient_rate": 0.6, "permanent_rate": 0.6}, "settings"),
        ({"seed": "x"}, "settings.seed"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], path: str):
    with pytest.raises(Invalid) as refusal:
        build_sandbox(ProviderConfig("b", TENANT, "sandbox", "sms", settings, {}), outside(ManualClock()))
    assert refusal.value.path == path


def test_a_sandbox_takes_no_credentials():
    with pytest.raises(Invalid) as refusal:
        build_sandbox(ProviderConfig("b", TENANT, "sandbox", "sms", {}, {"key": "x"}), outside(ManualClock()))
    assert refusal.value.path == "credentials"
