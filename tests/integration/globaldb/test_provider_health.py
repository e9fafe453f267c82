"""The global store: what a region says of an account's health reaches the others, and the later word stands."""

from __future__ import annotations

import asyncio
import os

import asyncpg
from msgspec.structs import replace

from clarion.adapters.globaldb.provider_health import GlobalProviderHealth
from clarion.delivery.health import ProviderHealth


def a_report(region: str = "us-east-1", updated_ms: int = 1_800_000_000_000) -> ProviderHealth:
    return ProviderHealth(
        *(os.urandom(16), "relay", region, "open", "credentials", 1_799_999_999_999),
        *(0.97, 0.03, 113.0, 1200.5, updated_ms),
    )


async def test_what_is_published_is_read_by_region(pool: asyncpg.Pool):
    health, here = GlobalProviderHealth(pool), a_report()
    there = replace(here, region="eu-west-1", state="closed", reason="")
    await health.publish([])
    await health.publish([here])
    await health.publish([there])
    assert await health.read(here.tenant_id, "relay") == [there, here]
    assert await health.read(os.urandom(16), "relay") == []


async def test_of_workers_that_publish_at_once_the_later_word_stands(pool: asyncpg.Pool):
    health, first = GlobalProviderHealth(pool), a_report()
    reports = [replace(first, updated_ms=first.updated_ms + step, p99_ms=float(step)) for step in range(8)]
    others = [a_report() for _ in range(20)]
    orders = [
        [*others, report] if number % 2 else [report, *others[::-1]] for number, report in enumerate(reports)
    ]
    await asyncio.gather(*(health.publish(order) for order in orders[::-1]))
    (found,) = await health.read(first.tenant_id, "relay")
    assert found.p99_ms == 7


async def test_accounts_that_are_gone_are_forgotten(pool: asyncpg.Pool):
    health, region = GlobalProviderHealth(pool), os.urandom(4).hex()
    old, new = a_report(region, 1_000), a_report(region, 3_000)
    await health.publish([old, new])
    await health.drop_older(region, 2_000)
    assert await health.read(old.tenant_id, "relay") == []
    assert await health.read(new.tenant_id, "relay") == [new]
