"""`features_update`: how fast one process folds events into records, from the log to Valkey, on real stores.

Both topics, as the features role reads them: decode, find users' homes in Postgres, read records, fold, write each in
the place of the one it was made of, ack. Every user is as likely as any other, so that next to every event has a record
of its own to read and write. The baseline folds one event at a time.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from bench.harness import Result, finish, run_in_process, say
from clarion.adapters.eventlog.streams import StreamsEventLog
from clarion.adapters.postgres.feature_records import PostgresFeatures
from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.valkey.client import COMMAND_TIMEOUT_S, ValkeyClients, connect
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.contracts.events import NotificationEvent
from clarion.contracts.topics import NOTIFICATION_EVENTS, USER_EVENTS, Topic
from clarion.contracts.user_events import UserEvent
from clarion.entrypoints.featuring import clocks_of_the_world
from clarion.entrypoints.workers.features import Hearer
from clarion.intelligence.features.live import LivePorts, Unwritten, archive_some
from clarion.intelligence.serving.portraits import ModelPainter
from clarion.intelligence.serving.prior import Unfitted
from clarion.kernel.clock import StoreClock
from clarion.orchestration.publish import split_by_partition, split_user_events
from clarion.testing.database import prepared_database
from clarion.testing.stores import SharedStores, shared_stores

BAR: Final = 30_000.0
USERS: Final = 50_000
EVENTS: Final = 400_000
OF_A_TRANSACTION: Final = 8_000
"""Events of 16 outbox rows of 500, as the events role puts them on the log."""

LOG_BYTES: Final = 1 << 30
ALONE: Final = 2_000
ARCHIVED: Final = 5_000
TENANT: Final = bytes(15) + b"\x07"

INSERT_TENANT: Final = "INSERT INTO tenant_settings (tenant_id, name, timezone) VALUES ($1, 'bench', 'UTC')"
INSERT_USERS: Final = """
INSERT INTO user_profiles (
    user_id, tenant_id, external_id, home_region, sealed, fingerprint, reachable, country, timezone)
SELECT n, $1, 's' || n, 'us-east-1', '', '', 1, 'DE',
       (ARRAY['Europe/Berlin', 'America/New_York', 'Asia/Tokyo', ''])[n % 4 + 1]
FROM generate_series(1, $2::int) AS n"""


def run() -> Result:
    """Fold all events once with warm records; the whole rate."""
    with tempfile.TemporaryDirectory() as folder, shared_stores(Path(folder)) as stores:
        rate, alone, archived = run_in_process(_measure, stores)
    say(f"{rate:,.0f} events/s together, {alone:,.0f}/s one by one; archived {archived:,.0f} users/s")
    return finish(
        Result(
            "features_update",
            round(rate),
            "events/s",
            f">= {BAR:,.0f} events/s from the log to Valkey in one process",
            rate >= BAR,
            baseline=round(alone),
            ratio=round(rate / alone, 1),
            detail={"events": EVENTS, "users": USERS, "archived_users_per_s": round(archived)},
        )
    )


def _measure(stores: SharedStores) -> tuple[float, float, float]:
    return uvloop.run(_rates(stores))


async def _rates(stores: SharedStores) -> tuple[float, float, float]:
    urls = await prepared_database(stores.postgres_url)
    pools = await open_pools(urls, size=4, name="bench")
    valkey = await connect(stores.valkey_url)
    archive = PostgresFeatures(pools)
    async with pools.pipeline() as connection:
        await connection.execute(INSERT_TENANT, TENANT)
        await connection.execute(INSERT_USERS, TENANT, USERS)
        await connection.execute("ANALYZE user_profiles")
    store = ValkeyFeatures(valkey, timeout_s=COMMAND_TIMEOUT_S)
    ports = LivePorts(store, archive, archive, clocks_of_the_world(), ModelPainter(Unfitted()))
    unwritten = Unwritten()
    hearer = Hearer(ports, unwritten, StoreClock())
    dice = random.Random(7)  # noqa: S311  a world, not a secret
    await _hear(valkey, hearer, dice, USERS)
    say("warm")
    took_s = await _hear(valkey, hearer, dice, EVENTS)
    began = time.perf_counter()
    await _hear_alone(hearer, dice)
    alone_s = time.perf_counter() - began
    began = time.perf_counter()
    archived = 0
    while archived < ARCHIVED:
        archived += await archive_some(unwritten, ports, int(time.time() * 1000))
    archive_s = time.perf_counter() - began
    await valkey.close()
    await pools.close()
    return EVENTS / took_s, ALONE / alone_s, archived / archive_s


async def _hear(valkey: ValkeyClients, hearer: Hearer, dice: random.Random, count: int) -> float:
    """Put events on the log, then have all of them folded; the seconds that the folding took."""
    log = StreamsEventLog(valkey, LOG_BYTES)
    for begin in range(0, count, OF_A_TRANSACTION):
        most = min(OF_A_TRANSACTION, count - begin)
        messages, deeds = _messages(dice, most * 3 // 5), _deeds(dice, most - most * 3 // 5)
        await log.append(NOTIFICATION_EVENTS, split_by_partition(messages, NOTIFICATION_EVENTS))
        await log.append(USER_EVENTS, split_user_events(deeds, USER_EVENTS))
    began = time.perf_counter()
    topics = (NOTIFICATION_EVENTS, USER_EVENTS)
    ends = await asyncio.gather(*(_listen(log, hearer, topic) for topic in topics))
    return max(ends) - began


async def _listen(log: StreamsEventLog, hearer: Hearer, topic: Topic) -> float:
    """Fold a topic to its end, as one lane of the role does beside the other; when the last entry was acked."""
    ended = time.perf_counter()
    while await hearer.listen(log, topic):
        ended = time.perf_counter()
    return ended


async def _hear_alone(hearer: Hearer, dice: random.Random) -> None:
    for event in _messages(dice, ALONE):
        await hearer.take([event], [])


def _messages(dice: random.Random, count: int) -> list[NotificationEvent]:
    """Deliveries that were sent, of which a third were opened; all of the last minutes."""
    now_ms = int(time.time() * 1000)
    found: list[NotificationEvent] = []
    while len(found) < count:
        ident, user_id = os.urandom(16), dice.randrange(USERS) + 1
        channel = dice.choice(("email", "push", "sms"))
        kinds: Sequence[str] = ("sent", "opened") if dice.random() < 1 / 3 else ("sent",)
        at_ms = now_ms - dice.randrange(600_000)
        found += [
            NotificationEvent(ident, kind, at_ms + n, TENANT, ident, ident, user_id, "news", channel)
            for n, kind in enumerate(kinds)
        ]
    return found[:count]


def _deeds(dice: random.Random, count: int) -> list[UserEvent]:
    now_ms = int(time.time() * 1000)
    return [
        UserEvent(
            os.urandom(16),
            "seen",
            now_ms - dice.randrange(600_000),
            TENANT,
            dice.randrange(USERS) + 1,
            now_ms,
        )
        for _ in range(count)
    ]
