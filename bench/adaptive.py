"""`adaptive`: how often a vendor is asked too much once its limit has been found out.

A campaign of text messages goes through an account of Twilio without any quota set. Its vendor is a double that takes
so many requests in each second of the clock, says 429 with `Retry-After: 1` to all others, and nothing in advance.
Counted is what the double saw, from the 60th second after its first request on; and how much of its limit was used.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import Any, Final

import msgspec

from bench.harness import Result, finish, post_all, raw_request, say
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.vendors import TwilioDouble, VendorServer, serve
from clarion.testing.vendors.twilio import ACCOUNT_SID, AUTH_TOKEN

BAR: Final = 0.01
PER_S: Final = 200
WARM_S: Final = float(os.environ.get("BENCH_ADAPTIVE_WARM_S", "60"))
MEASURE_S: Final = float(os.environ.get("BENCH_ADAPTIVE_MEASURE_S", "60"))
USERS: Final = 2_000
BATCH: Final = 500
FIRST_S: Final = 60.0
"""How long the first request may take to come."""

_SETTINGS: Final = {"CLARION_EGRESS_ALLOW": "127.0.0.0/8"}


class Seen(msgspec.Struct, frozen=True):
    """What the vendor saw while it was measured, and while its limit was being found out."""

    taken: int
    throttled: int
    before: Counter[str]


def run() -> Result:
    """One campaign, watched from the other side."""
    with clarion_up(None, _SETTINGS) as instance:
        seen = asyncio.run(_watch(instance))
    calls = seen.taken + seen.throttled
    share = seen.throttled / max(1, calls)
    used = seen.taken / (PER_S * MEASURE_S)
    say(f"{seen.throttled} of {calls:,} calls throttled ({share:.2%}), {used:.0%} of the limit used")
    return finish(
        Result(
            "adaptive",
            round(share, 5),
            "share of calls that get 429",
            f"≤ {BAR:.0%} after {WARM_S:g} s",
            share <= BAR and calls > 0,
            detail={
                "limit_per_s": PER_S,
                "seconds": MEASURE_S,
                "calls": calls,
                "throttled": seen.throttled,
                "share_of_the_limit_used": round(used, 3),
                "while_finding_out": dict(seen.before),
            },
        )
    )


async def _watch(instance: Instance) -> Seen:
    double = TwilioDouble()
    async with serve(double) as server:
        server.per_s = PER_S
        await _prepare(instance, server)
        count = int(1.2 * PER_S * (WARM_S + MEASURE_S))
        requests = [_batch(instance, start, min(BATCH, count - start)) for start in range(0, count, BATCH)]
        sending = asyncio.create_task(post_all(instance, requests, 2))
        await server.until(lambda: bool(server.requests), FIRST_S)
        began = time.monotonic()
        await _until(began + WARM_S, server)
        before = (double.taken, server.throttled)
        await _until(began + WARM_S + MEASURE_S, server)
        after = (double.taken, server.throttled)
        await sending
    return Seen(after[0] - before[0], after[1] - before[1], Counter(taken=before[0], throttled=before[1]))


async def _until(at_s: float, server: VendorServer) -> None:
    while (left_s := at_s - time.monotonic()) > 0:
        await asyncio.sleep(min(10.0, left_s))
        say(f"{server.throttled} throttled so far")


async def _prepare(instance: Instance, server: VendorServer) -> None:
    account = {
        "kind": "twilio",
        "channel": "sms",
        "settings": {"base_url": server.url, "account_sid": ACCOUNT_SID, "from": "+15005550006"},
        "credentials": {"auth_token": AUTH_TOKEN},
    }
    users = [
        {"user_id": f"u{n}", "phone": f"+1415555{n:04d}", "timezone": "America/Los_Angeles"}
        for n in range(USERS)
    ]
    requests = [raw_request(instance, "PUT", "/api/v1/providers/texts", account)]
    requests += [
        raw_request(instance, "POST", "/api/v1/users/batch", {"users": users[start : start + BATCH]})
        for start in range(0, USERS, BATCH)
    ]
    # A campaign to few numbers of one block: what would else be a flood.
    guard = {"sms_guard": {"enabled": False}}
    requests.append(raw_request(instance, "PUT", "/api/v1/analytics/budgets", guard))
    await post_all(instance, requests, 1)


def _batch(instance: Instance, start: int, count: int) -> bytes:
    body = {"notifications": [_notification(number) for number in range(start, start + count)]}
    return raw_request(instance, "POST", "/api/v1/notifications/batch", body)


def _notification(number: int) -> dict[str, Any]:
    return {
        "user_id": f"u{number % USERS}",
        "category": "transactional",
        "data": {"body": f"Your parcel {number} has arrived."},
        "optimization": {"channel_selection": "specified", "channels": ["sms"]},
    }
