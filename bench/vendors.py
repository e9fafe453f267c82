"""`single_call`, `batch_call`, `fcm`: messages a second that one core hands to a vendor, through the real adapters.

The vendor is a double in a process of its own that holds every request against the vendor's own schema and answers at
once. What is measured is the way from rendered messages to outcomes: translation, HTTP, and the reading of replies.
`single_call` also sends texts through a whole Clarion, and tells how many of them one core's worth of worker carries,
reading, rendering and recording included.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import msgspec
import uvloop

from bench.harness import Result, finish, percentile, run_in_process, say
from bench.whole_worker import through_a_whole_clarion
from clarion.adapters.providers.registry import build_provider
from clarion.audience.model import DeviceToken
from clarion.contracts.channels import Channel
from clarion.delivery.model import Message
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors.process import running_double

TENANT: Final = b"t" * 16
SIZE: Final = float(os.environ.get("BENCH_VENDORS", "1"))
"""A share of the usual amount of messages, for a quick look."""

_WHOLE: Final = 15_000
_WORKER_BAR: Final = 3_000

_AT_A_TIME: Final = 2
"""Batches under way, as a worker has them."""


class Course(msgspec.Struct, frozen=True):
    """What to send: `count` messages through the provider `kind`, at least `per_s` of them a second."""

    bench: str
    kind: str
    channel: Channel
    count: int
    per_s: int
    most_connections: int = 1_000


class Run(msgspec.Struct, frozen=True):
    """What came of it. `cpu_s` is that of the sending process alone; `spans` the seconds of each batch."""

    seconds: float
    cpu_s: float
    spans: list[float]
    outcomes: dict[str, int]
    batch: int
    vendor: dict[str, Any]


_Write = Callable[[bytes, int], Message]


def run_single_call() -> Result:
    """Text messages through Twilio: a call each, HTTP/1.1."""
    result = _run(Course("single_call", "twilio", "sms", 30_000, 3_000))
    whole = through_a_whole_clarion("twilio", int(_WHOLE * SIZE))
    say(f"through a whole Clarion: {whole.per_worker_core:,.0f} per core of worker, {whole.per_s:,.0f}/s")
    is_ok = result.ok and whole.per_worker_core >= _WORKER_BAR
    detail = result.detail | {"whole": msgspec.to_builtins(whole)}
    bar = f"{result.bar}; ≥ {_WORKER_BAR:,} a core of worker through a whole Clarion"
    return msgspec.structs.replace(result, ok=is_ok, bar=bar, detail=detail)


def run_batch_call() -> Result:
    """E-mail of one template through SendGrid: a thousand a call."""
    return _run(Course("batch_call", "sendgrid", "email", 200_000, 20_000))


def run_fcm() -> Result:
    """Pushes through Firebase: streams of one HTTP/2 connection."""
    return _run(Course("fcm", "fcm", "push", 30_000, 5_000, most_connections=1))


def _run(course: Course) -> Result:
    measured: Run = run_in_process(_measure, course)
    rate = course.count * SIZE / measured.seconds
    sent = measured.outcomes.get("sent", 0)
    cpu_us = measured.cpu_s / max(1, sent) * 1e6
    say(f"{rate:,.0f}/s; {cpu_us:.1f} µs of CPU a message; {measured.outcomes}")
    return finish(
        Result(
            course.bench,
            round(rate),
            "messages/s",
            f"≥ {course.per_s:,}/s, all sent, the vendor took each once",
            ok=rate >= course.per_s
            and sent == int(course.count * SIZE) == measured.vendor["taken"]
            and measured.vendor["connections"] <= course.most_connections,
            p50_ms=round(percentile(measured.spans, 0.5) * 1000, 2),
            p99_ms=round(percentile(measured.spans, 0.99) * 1000, 2),
            detail={
                "kind": course.kind,
                "batch": measured.batch,
                "cpu_us_per_message": round(cpu_us, 1),
                "per_cpu_second": round(sent / measured.cpu_s),
                "latency": "of one batch",
                "vendor": measured.vendor,
            },
        )
    )


def _measure(course: Course) -> Run:
    """In a process of its own: send to a double in another."""
    with running_double(course.kind) as double:
        run = uvloop.run(_send_all(course, double.account))
    return msgspec.structs.replace(run, vendor=double.took)


async def _send_all(course: Course, account: dict[str, Any]) -> Run:
    transport = loopback_transport()
    config = ProviderConfig(
        "bench", TENANT, course.kind, course.channel, account["settings"], account["credentials"]
    )
    provider = build_provider(config, outside(StoreClock(), transport=transport))
    size = provider.capabilities.max_batch
    batches = _batches(_WRITERS[course.channel], int(course.count * SIZE), size)
    spans: list[float] = []
    outcomes: Counter[str] = Counter()
    cpu, began = time.process_time(), time.perf_counter()
    waiting = iter(batches)
    await asyncio.gather(*(_lane(provider, waiting, spans, outcomes) for _ in range(_AT_A_TIME)))
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    await provider.close()
    await transport.close()
    return Run(seconds, cpu_s, spans, dict(outcomes), size, {})


async def _lane(
    provider: Provider,
    waiting: Iterator[Sequence[Message]],
    spans: list[float],
    outcomes: Counter[str],
) -> None:
    for batch in waiting:
        began = time.perf_counter()
        done = await provider.send(batch)
        spans.append(time.perf_counter() - began)
        outcomes.update(
            outcome.kind if outcome.kind == "sent" else f"{outcome.kind}:{outcome.code}" for outcome in done
        )


def _batches(write: _Write, count: int, size: int) -> Sequence[Sequence[Message]]:
    ids = make_ids(count, int(time.time() * 1000))
    messages = [write(ids[16 * n : 16 * n + 16], n) for n in range(count)]
    return [messages[start : start + size] for start in range(0, count, size)]


def _text(ident: bytes, n: int) -> Message:
    body = f"Your order {n} is on its way and will be with you tomorrow. Reply STOP to hear no more of us."
    return Message(ident, TENANT, "sms", 1, to=f"+1555{n % 10_000_000:07}", body=body)


def _letter(ident: bytes, n: int) -> Message:
    return Message(
        ident,
        TENANT,
        "email",
        1,
        to=f"user{n}@example.org",
        subject=f"Your order {n} is on its way",
        text=f"Hello user{n},\n\nyour order {n} has left our house.\nIt comes tomorrow.\n\nYour shop\n",
        html=f"<html><body><h1>Hello user{n},</h1><p>your order <b>{n}</b> has left our house.</p>"
        f"<p>It comes tomorrow.</p><p>Your shop</p></body></html>",
        headers={"List-Unsubscribe": f"<https://shop.example/u/{ident.hex()}>"},
        shape="order:1:en",
    )


def _push(ident: bytes, n: int) -> Message:
    device = DeviceToken("android", f"{n:0150}")
    return Message(
        ident, TENANT, "push", 1, devices=[device], title="On its way", body=f"Your order {n} comes tomorrow."
    )


_WRITERS: Final[dict[str, _Write]] = {"sms": _text, "email": _letter, "push": _push}
