"""Retention: days end, what is not over outlives them, and the ledger stays true. On a server's database of its own."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from clarion.adapters.postgres.accept import PostgresAcceptStore
from clarion.adapters.postgres.ledger import PostgresLedger
from clarion.adapters.postgres.migrate import Databases, database_url
from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.postgres.retention import PostgresRetention
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.contracts.work import delivery_id_for
from clarion.delivery.ledger import LedgerReport
from clarion.entrypoints.workers.retention import clear_contents, retire_days
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import make_ids
from clarion.orchestration.model import AcceptGroup, Chain, Row
from clarion.testing.database import PreparedDatabases, prepare_databases

DAY_MS: Final = 86_400_000
TENANTS: Final = (b"\x01" * 16, b"\x02" * 16)
FATES: Final = ("over", "open", "chained", "dead")
"""What may become of a notification: it is over, or something still reads it."""


class Past:
    """A database that holds notifications of days gone by."""

    def __init__(self, pools: Pools, owner_url: str) -> None:
        self.pools = pools
        self.owner_url = owner_url
        self.accepts = PostgresAcceptStore(pools)
        self.retention = PostgresRetention(pools)

    async def query(self, statement: str, *values: object) -> list[asyncpg.Record]:
        async with self.pools.pipeline() as connection:
            return await connection.fetch(statement, *values)

    async def own(self, statement: str) -> None:
        """A statement as the owner of the tables."""
        connection = await asyncpg.connect(self.owner_url)
        await connection.execute(statement)
        await connection.close()

    async def day(self, age: int) -> date:
        """The day so many days ago, with a partition of its own."""
        day = datetime.now(UTC).date() - timedelta(days=age)
        name = f"notifications_{day:%Y%m%d}"
        await self.own(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF notifications "
            f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(1)} 00:00+00')"
        )
        return day

    async def send(self, tenant_id: bytes, day: date, fates: Sequence[str]) -> dict[bytes, str]:
        """Notifications of a day, two channels each; their fates by id."""
        start_ms = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
        sent: dict[bytes, str] = {}
        rows: list[Row] = []
        for fate in fates:
            at_ms = start_ms + random.randrange(DAY_MS)
            ident = make_ids(1, at_ms)
            sent[ident] = fate
            rows += _rows(tenant_id, ident, at_ms, fate)
        await self.accepts.commit([AcceptGroup(tenant_id, "live", rows, None, b"")], [])
        await self.query(
            "UPDATE notifications SET attempts = 1, attempt_log = '[]' WHERE tenant_id = $1 AND status = 'sent'",
            tenant_id,
        )
        for ident in (ident for ident, fate in sent.items() if fate == "dead"):
            await self.query(_DEAD, delivery_id_for(ident, CHANNEL_INDEX["email"]), ident, tenant_id)
        return sent

    async def left(self, tenant_id: bytes) -> dict[bytes, int]:
        """How many deliveries are there of each notification."""
        found = await self.query(
            "SELECT notification_id, count(*) FROM notifications WHERE tenant_id = $1 GROUP BY 1", tenant_id
        )
        return {record[0]: record[1] for record in found}

    async def settled(self, tenant_id: bytes) -> int:
        """How many deliveries were dropped with their days."""
        ((number,),) = await self.query(
            "SELECT coalesce(sum(deliveries), 0)::bigint FROM settled_days WHERE tenant_id = $1", tenant_id
        )
        return number

    async def ledger(self) -> LedgerReport:
        return await PostgresLedger(self.pools).report(1e9)


_DEAD: Final = (
    "INSERT INTO dead_letters (global_id, created_at, notification_id, tenant_id, user_id, category, channel, "
    "template, priority, reason, last_error, crashes, deliveries, attempts, provider, status, lease_epoch, died_at) "
    "SELECT global_id, created_at, $2, $3, 1, 'marketing', 'email', '', 5, 'deliveries', '', 0, 1, 1, '', 'failed', "
    "1, now() FROM notifications WHERE global_id = $1"
)


def _rows(tenant_id: bytes, ident: bytes, at_ms: int, fate: str) -> list[Row]:
    later = at_ms + 400 * DAY_MS
    chain = Chain(ident, tenant_id, at_ms, b"[]", later) if fate == "chained" else None
    statuses = {
        "email": "scheduled" if fate == "open" else "failed" if fate == "dead" else "sent",
        "sms": "sent",
    }
    return [
        Row(
            delivery_id=delivery_id_for(ident, CHANNEL_INDEX[channel]),
            notification_id=ident,
            tenant_id=tenant_id,
            user_id=1,
            created_ms=at_ms,
            category="marketing" if ident[14] % 2 else "news",
            channel=channel,
            priority=5,
            status=status,
            template="",
            template_version=0,
            payload=b'{"word":"secret"}',
            personalization=b"{}",
            metadata=b"{}",
            decision=b"{}",
            journey_id="",
            traceparent="",
            send_ms=later,
            score=0.0,
            expires_ms=later,
            open=status == "scheduled",
            chain=chain if channel == "email" else None,
        )
        for channel, status in statuses.items()
    ]


_EMPTY: Final = """
TRUNCATE notifications, open_deliveries, accept_batches, fallbacks, dead_letters, settled_days, cleared_contents,
         tenant_settings;
DO $$
DECLARE day text;
BEGIN
    FOR day IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'notifications'::regclass LOOP
        EXECUTE format('DROP TABLE %I', day);
    END LOOP;
END $$;
"""


@pytest.fixture(scope="module")
def databases_of_the_past(admin_url: str) -> tuple[PreparedDatabases, str]:
    """A database for all tests here, and its owner's URL."""
    suffix = secrets.token_hex(4)
    names = Databases(f"past_{suffix}", f"past_keys_{suffix}", f"past_global_{suffix}")
    return asyncio.run(prepare_databases(admin_url, names)), database_url(admin_url, names.regional)


@pytest.fixture
async def past(databases_of_the_past: tuple[PreparedDatabases, str]) -> AsyncGenerator[Past]:
    """The past, in which nothing has happened yet."""
    databases, owner_url = databases_of_the_past
    pools = await open_pools(databases.urls, size=4, name="tests")
    found = Past(pools, owner_url)
    await found.own(_EMPTY)
    yield found
    await pools.close()


def balances(report: LedgerReport) -> bool:
    """Whether the ledger is true."""
    return not report.contradictions and all(
        one.promised == one.kept and one.same_ids for one in report.balances
    )


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_is_not_over_is_ever_dropped(past: Past, seed: int):
    chance = random.Random(seed)
    sent: dict[bytes, dict[bytes, str]] = {tenant_id: {} for tenant_id in TENANTS}
    for age in (2, 31, 40, 41):
        day = await past.day(age)
        for tenant_id in TENANTS:
            fates = chance.choices(FATES, (20, 2, 1, 1), k=chance.randrange(60))
            sent[tenant_id] |= await past.send(tenant_id, day, fates)
    assert balances(await past.ledger())
    young = {tenant_id: await past.left(tenant_id) for tenant_id in TENANTS}

    await retire_days(past.retention, 30)

    limit_ms = int((datetime.now(UTC).timestamp() * 1000) // DAY_MS - 30) * DAY_MS
    for tenant_id in TENANTS:
        left = await past.left(tenant_id)
        for ident, fate in sent[tenant_id].items():
            is_old = int.from_bytes(ident[:6], "big") < limit_ms
            assert left.get(ident, 0) == (0 if is_old and fate == "over" else 2), fate
        dropped = sum(young[tenant_id].values()) - sum(left.values())
        assert await past.settled(tenant_id) == dropped
    assert balances(await past.ledger())
    # Again, nothing more goes; and what is over by then, does.
    before = [await past.left(tenant_id) for tenant_id in TENANTS]
    await retire_days(past.retention, 30)
    assert [await past.left(tenant_id) for tenant_id in TENANTS] == before
    await past.query("DELETE FROM open_deliveries")
    await past.query("UPDATE notifications SET status = 'expired' WHERE status = 'scheduled'")
    await past.query("UPDATE fallbacks SET due_at = NULL")
    await past.query("DELETE FROM dead_letters")
    await retire_days(past.retention, 30)
    assert await past.retention.old_days(30) == []
    assert balances(await past.ledger())


async def test_what_moved_is_found_and_changed_as_before(past: Past):
    day = await past.day(50)
    (ident,) = await past.send(TENANTS[0], day, ["open"])
    await past.send(TENANTS[0], day, ["over"] * 3)
    assert await past.retention.retire(day) == "moved"
    delivery_id = delivery_id_for(ident, CHANNEL_INDEX["email"])
    assert await past.query("SELECT FROM open_deliveries WHERE global_id = $1", delivery_id)
    done = await past.query(
        "UPDATE notifications SET status = 'sent', attempts = 1, attempt_log = '[]' WHERE global_id = $1 "
        "AND created_at = $2 RETURNING payload",
        delivery_id,
        int.from_bytes(ident[:6], "big"),
    )
    assert [msgspec.json.decode(record["payload"]) for record in done] == [{"word": "secret"}]
    assert await past.retention.retire(day) == "open"
    await past.query("DELETE FROM open_deliveries")
    assert await past.retention.retire(day) == "dropped"
    assert await past.retention.retire(day) == "absent"


async def test_a_day_that_does_not_balance_is_kept_as_evidence(past: Past):
    day = await past.day(60)
    (ident, *_) = await past.send(TENANTS[0], day, ["over"] * 3)
    await past.query("DELETE FROM notifications WHERE notification_id = $1", ident)
    assert await past.retention.retire(day) == "unbalanced"
    assert not balances(await past.ledger())
    assert len(await past.left(TENANTS[0])) == 2


async def test_today_is_never_dropped(past: Past):
    for age in (-1, 0, 1):
        with pytest.raises(Invalid, match="not over"):
            await past.retention.retire(datetime.now(UTC).date() - timedelta(days=age))


async def test_a_busy_table_is_left_alone_and_asked_again(past: Past):
    day = await past.day(45)
    await past.send(TENANTS[0], day, ["over"])
    async with past.pools.reader(TENANTS[0]) as connection:
        await connection.fetch("SELECT count(*) FROM notifications")
        assert await past.retention.retire(day) is None
        # Nobody stands behind it while it waits for longer than a moment.
        await asyncio.wait_for(past.query("SELECT count(*) FROM notifications"), 5)
    assert await past.retention.retire(day) == "dropped"


async def test_contents_go_before_their_rows_where_a_tenant_wants_it(past: Past):
    tenant_id = TENANTS[0]
    await past.query(
        "INSERT INTO tenant_settings (tenant_id, name, compliance) VALUES ($1, 'brief', $2)",
        tenant_id,
        msgspec.json.encode({"retention_days": {"marketing": 5}}),
    )
    old, young = await past.day(10), await past.day(3)
    sent = await past.send(tenant_id, old, ["over"] * 20 + ["open"] * 3 + ["chained", "dead"])
    sent |= await past.send(tenant_id, young, ["over"] * 5)

    async def contents() -> dict[Any, Any]:
        rows = await past.query(
            "SELECT notification_id, category, payload FROM notifications WHERE channel = 'sms'"
        )
        return {record[0]: (record[1], record[2] != b"{}") for record in rows}

    await clear_contents(past.retention, 30)
    limit_ms = int(datetime.now(UTC).timestamp() * 1000) - 5 * DAY_MS
    for ident, (category, is_there) in (await contents()).items():
        goes = (
            category == "marketing"
            and sent[ident] != "chained"
            and int.from_bytes(ident[:6], "big") < limit_ms
        )
        assert is_there is not goes, sent[ident]
    assert balances(await past.ledger())
    # What was not over then is cleared once it is.
    await past.query("DELETE FROM open_deliveries")
    await past.query(
        "UPDATE notifications SET status = 'sent', attempts = 1, attempt_log = '[]' WHERE status = 'scheduled'"
    )
    await past.query("UPDATE fallbacks SET due_at = NULL")
    await clear_contents(past.retention, 30)
    late = await contents()
    assert all(
        not is_there
        for ident, (category, is_there) in late.items()
        if category == "marketing" and sent[ident] != "dead" and int.from_bytes(ident[:6], "big") < limit_ms
    )


async def test_the_audit_log_goes_after_seven_years_and_not_before(past: Past):
    await past.own(
        "INSERT INTO audit_log SELECT '01010101-0101-0101-0101-010101010101', n, now() - n * interval '1 year', 0, "
        "'a', 'o', 't', 'done', '', '', '', '{}', '', '' FROM generate_series(1, 9) n"
    )
    assert await past.retention.drop_old_audit() == 3
    assert await past.retention.drop_old_audit() == 0
