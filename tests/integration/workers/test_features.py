"""The features role on the real stores: what is heard of users, what profiles say of it, and what outlives a loss."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.postgres.feature_records import PostgresFeatures
from clarion.bootstrap import Worker
from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS, USER_EVENTS
from clarion.contracts.user_events import UserEvent, encode_user_events
from clarion.entrypoints.cli.ml_rebuild import rebuild_all
from clarion.entrypoints.featuring import history_of, live_ports, patient_store
from clarion.entrypoints.workers.features import Hearer, paint_anew, restore
from clarion.intelligence.features import NAMES, FeatureStore, RecordArray, compute
from clarion.intelligence.features.history import replay
from clarion.intelligence.features.live import LivePorts, Unwritten, archive_some, rebuild
from clarion.kernel.errors import Transient
from clarion.kernel.ids import make_ids
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.orchestration.ports import EventConsumer, LogEntry
from clarion.orchestration.publish import split_by_partition
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

MONDAY_MS = 20_241 * DAY_MS  # 2 June 2025, 00:00 UTC


@dataclass
class Listening:
    """A tenant with one user, and a worker that hears what the test tells it."""

    caller: Caller
    worker: Worker
    ports: LivePorts
    user_id: int
    unwritten: Unwritten = field(default_factory=Unwritten)

    @property
    def hearer(self) -> Hearer:
        return Hearer(self.ports, self.unwritten, self.worker.clock)

    async def did(self, *at_ms: int) -> None:
        """She did something of her own accord."""
        events = [
            UserEvent(os.urandom(16), "seen", at, self.caller.tenant_id, self.user_id, at) for at in at_ms
        ]
        await self.hearer.fold([LogEntry(0, b"1-0", encode_user_events(events))], USER_EVENTS)

    async def hear(self, events: Sequence[NotificationEvent]) -> None:
        await self.hearer.fold([LogEntry(0, b"1-0", encode_events(list(events)))], NOTIFICATION_EVENTS)

    def event(self, kind: str, at_ms: int, delivery_id: bytes, *, is_test: bool = False) -> NotificationEvent:
        return NotificationEvent(
            event_id=os.urandom(16),
            type=kind,
            at_ms=at_ms,
            tenant_id=self.caller.tenant_id,
            notification_id=delivery_id,
            delivery_id=delivery_id,
            user_id=self.user_id,
            category="news",
            channel="email",
            is_test=is_test,
        )

    async def record(self) -> RecordArray:
        return (await self.ports.store.read([self.user_id]))[0]

    async def archive(self) -> None:
        await archive_some(self.unwritten, self.ports, self.worker.clock.now_ms())

    async def lose(self) -> None:
        """The store forgets her, as it does when it starts empty."""
        key = b"features:{%02d}:%d" % (self.user_id % 64, self.user_id)
        await self.worker.region.valkey.write.execute_command("UNLINK", key)

    async def fetch(self, statement: str, *values: object) -> object:
        async with self.worker.region.pools.pipeline() as connection:
            return await connection.fetchval(statement, *values)

    async def members(self, expression: str) -> int:
        answer = await self.caller.call("POST /segments/preview", {"expression": expression})
        assert answer.status == 200, answer.body
        return answer.json()["members"]


@pytest_asyncio.fixture(loop_scope="session")
async def listening(worker: Worker, caller: Caller) -> Listening:
    await caller.user("ada", timezone="Asia/Tokyo")
    ports, _ = live_ports(worker.region)
    async with worker.region.pools.pipeline() as connection:
        user_id = await connection.fetchval(
            "SELECT user_id FROM user_profiles WHERE tenant_id = $1", caller.tenant_id
        )
    return Listening(caller, worker, ports, user_id)


async def test_what_she_does_counts_at_her_own_hours(listening: Listening):
    await listening.did(MONDAY_MS, MONDAY_MS + HOUR_MS)  # 9 and 10 o'clock in Tokyo
    record = await listening.record()
    assert record["presence"][1, 0, [9, 10]] == pytest.approx([1, 1], abs=0.01)
    assert record["seen_ms"] == MONDAY_MS + HOUR_MS


async def test_a_click_is_an_open_too_and_once(listening: Listening):
    ident = os.urandom(16)
    told = [listening.event(kind, MONDAY_MS, ident) for kind in ("sent", "engaged", "opened", "clicked")]
    await listening.hear(told)
    await listening.hear(told[::-1])
    record = await listening.record()
    assert (record["sent"][0, 0], record["opened"][0, 0], record["clicked"][0, 0]) == (1, 1, 1)


async def test_test_mode_machines_and_strangers_leave_no_trace_of_her(listening: Listening):
    await listening.hear([listening.event("opened", MONDAY_MS, os.urandom(16), is_test=True)])
    assert (await listening.record())["sequence"] == 0
    await listening.hear([listening.event("machine", MONDAY_MS, os.urandom(16))])
    record = await listening.record()
    assert record["machine"][0] == 1
    assert record["seen_ms"] == 0
    stranger = msgspec.structs.replace(listening.event("opened", MONDAY_MS, os.urandom(16)), user_id=5)
    await listening.hear([stranger])
    assert (await listening.ports.store.read([5]))["sequence"][0] == 0


async def test_what_comes_from_the_future_happened_now(listening: Listening):
    now_ms = listening.worker.clock.now_ms()
    await listening.did(now_ms + 400 * DAY_MS)
    record = await listening.record()
    assert now_ms <= record["as_of_ms"] <= listening.worker.clock.now_ms()


async def test_profiles_say_it_and_segments_find_it_and_cards_stay(listening: Listening):
    version = "SELECT (version, updated_at)::text FROM user_profiles WHERE user_id = $1"
    before = await listening.fetch(version, listening.user_id)
    now_ms = listening.worker.clock.now_ms()
    await listening.did(*(now_ms - hour * HOUR_MS for hour in range(48)))
    await listening.archive()
    assert await listening.members("features.engagement_score > 0.7") == 1
    assert await listening.members("features.days_since_last_engagement > 1") == 0
    assert await listening.fetch(version, listening.user_id) == before
    times = await listening.fetch(
        "SELECT optimal_send_times FROM user_profiles WHERE user_id = $1", listening.user_id
    )
    assert isinstance(times, bytes)
    named = msgspec.json.decode(times, type=dict[str, list[str]])
    assert set(named) == {"email", "push", "sms"}
    assert all(len(hours) == 3 for hours in named.values())
    segments = await listening.fetch(
        "SELECT segment_memberships FROM user_profiles WHERE user_id = $1", listening.user_id
    )
    assert isinstance(segments, bytes)
    assert {"active", "highly_engaged"} <= set(msgspec.json.decode(segments, type=list[str]))


async def test_of_the_silent_profiles_are_told_anew_each_day(listening: Listening):
    await listening.did(listening.worker.clock.now_ms() - 40 * DAY_MS)
    await listening.archive()
    await listening.fetch("UPDATE user_profiles SET ml_features = '{}' WHERE user_id = $1", listening.user_id)
    assert await listening.members("features.days_since_last_engagement > 39") == 0
    await listening.fetch(
        "UPDATE feature_records SET painted_at = now() - interval '25 hours' WHERE user_id = $1",
        listening.user_id,
    )
    while await paint_anew(listening.ports, listening.worker.clock) == 0:
        pass
    assert await listening.members("features.days_since_last_engagement > 39") == 1


async def test_what_the_store_lost_comes_back_from_the_archive(listening: Listening):
    await listening.did(MONDAY_MS)
    await listening.archive()
    await listening.lose()
    await listening.did(MONDAY_MS + 24 * HOUR_MS)
    record = await listening.record()
    assert record["active"][2] == pytest.approx(2, abs=0.02)
    assert record["sequence"] == 2
    await listening.archive()
    assert await listening.fetch(
        "SELECT sequence FROM feature_records WHERE user_id = $1", listening.user_id
    ) == int(record["sequence"])


async def test_a_store_that_started_empty_is_filled_from_the_archive(listening: Listening):
    await listening.did(MONDAY_MS)
    await listening.archive()
    before = await listening.record()
    await listening.lose()
    await listening.worker.region.valkey.write.execute_command("UNLINK", "features:marker")
    store, archive = patient_store(listening.worker.region), PostgresFeatures(listening.worker.region.pools)
    await restore(store, archive)
    assert (await listening.record()).tobytes() == before.tobytes()
    await listening.lose()
    await restore(store, archive)  # it was filled, so that what is not there has no record
    assert (await listening.record())["sequence"] == 0


async def test_an_overtaken_process_folds_again(listening: Listening):
    # Two workers hear of her at the same time: neither loses what the other heard.
    other, _ = live_ports(listening.worker.region)
    elsewhere = Listening(listening.caller, listening.worker, other, listening.user_id)

    class Slow:
        """A store in whose reading the other worker comes first."""

        def __init__(self) -> None:
            self.is_first = True

        async def read(self, user_ids: Sequence[int]) -> RecordArray:
            found = await other.store.read(user_ids)
            if self.is_first:
                self.is_first = False
                await elsewhere.did(MONDAY_MS)
            return found

        async def write(self, records: RecordArray) -> list[bool]:
            return await other.store.write(records)

        async def drop(self, user_ids: Sequence[int]) -> None:
            await other.store.drop(user_ids)

    slow = LivePorts(Slow(), other.archive, other.homes, other.clocks, other.painter)
    overtaken = Listening(listening.caller, listening.worker, slow, listening.user_id)
    await overtaken.did(MONDAY_MS + 24 * HOUR_MS)
    record = await listening.record()
    assert record["active"][2] == pytest.approx(2, abs=0.02)
    assert record["sequence"] == 2


class Failing:
    """A store whose replies to some writes are lost."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self.failures = 0

    async def read(self, user_ids: Sequence[int]) -> RecordArray:
        return await self._store.read(user_ids)

    async def write(self, records: RecordArray) -> list[bool]:
        kept = await self._store.write(records)
        if self.failures:
            self.failures -= 1
            raise Transient("the reply was lost")
        return kept

    async def drop(self, user_ids: Sequence[int]) -> None:
        await self._store.drop(user_ids)


async def hear_all(hearer: Hearer, log: EventConsumer) -> None:
    while await hearer.listen(log, NOTIFICATION_EVENTS):
        pass


async def test_what_may_or_may_not_have_been_written_is_folded_again_and_counts_once(listening: Listening):
    log, mine = listening.worker.log, listening.ports
    failing = Failing(mine.store)
    ports = LivePorts(failing, mine.archive, mine.homes, mine.clocks, mine.painter)
    hearer = Hearer(ports, listening.unwritten, listening.worker.clock)
    await hear_all(hearer, log)  # what other tests left
    ident = os.urandom(16)
    at_ms = listening.worker.clock.now_ms()
    told = [listening.event(kind, at_ms, ident) for kind in ("sent", "clicked")]
    await log.append(NOTIFICATION_EVENTS, split_by_partition(told, NOTIFICATION_EVENTS))
    failing.failures = 1
    with pytest.raises(Transient):
        await hear_all(hearer, log)
    await hear_all(hearer, log)
    record = await listening.record()
    assert (record["sent"][0, 0], record["opened"][0, 0], record["clicked"][0, 0]) == (1, 1, 1)
    await listening.archive()
    assert await listening.members("features.email_click_rate_30d > 0.9") == 1


async def send_in_the_past(listening: Listening, at_ms: int, engaged_ms: int | None = None) -> None:
    """A message as its row tells of it."""
    async with listening.worker.region.pools.pipeline() as connection:
        await connection.execute("SELECT ensure_partitions(7)")
        now_ms = listening.worker.clock.now_ms()
        ident = make_ids(1, now_ms)
        await connection.execute(
            """
            INSERT INTO notifications (global_id, created_at, notification_id, tenant_id, user_id, category, channel,
                priority, status, template, template_version, payload, personalization, metadata, decision, journey_id,
                traceparent, ml_channel_score, sent_at, engaged_at)
            VALUES ($3, $6, $3, $1, $2, 'news', 'sms', 5, 'sent', '', 1, '{}', '{}', '{}', '{}', '', '', 0, $4, $5)
            """,
            listening.caller.tenant_id,
            listening.user_id,
            ident,
            at_ms,
            engaged_ms,
            now_ms,
        )


async def test_history_tells_what_rows_know_and_rebuilds_from_it(listening: Listening):
    now_ms = listening.worker.clock.now_ms()
    await send_in_the_past(listening, now_ms - 3 * DAY_MS, now_ms - 3 * DAY_MS + HOUR_MS)
    await send_in_the_past(listening, now_ms - 2 * DAY_MS)
    async with listening.worker.region.pools.pipeline() as connection:
        await connection.execute(
            "INSERT INTO consent_events (tenant_id, user_id, channel, category, consented, source, recorded_at) "
            "SELECT $1, $2, 'sms', category, false, 'one_click', $3 FROM unnest(ARRAY['a', 'b']) category",
            listening.caller.tenant_id,
            listening.user_id,
            now_ms - DAY_MS,
        )
    event = {"user_id": "ada", "event": "seen"}
    assert (await listening.caller.call("POST /events", event)).status == 202
    history = history_of(listening.worker.region)
    later_ms = listening.worker.clock.now_ms() + 1
    told = [signs async for signs in history.signs(listening.caller.tenant_id, 0, later_ms)]
    assert [kind for signs in told for kind in signs.kind.tolist()] == [0, 1, 2, 0, 4, 5]
    users = {listening.caller.tenant_id: [listening.user_id]}
    assert await rebuild(users, history, listening.ports, later_ms) == 1
    assert await rebuild(users, history, listening.ports, later_ms) == 1
    await listening.lose()
    await listening.fetch("DELETE FROM feature_records WHERE user_id = $1", listening.user_id)
    done = await rebuild_all(listening.worker.region, listening.caller.tenant_id, everybody=False)
    assert (done.users, done.records) == (1, 1)
    again = await rebuild_all(listening.worker.region, listening.caller.tenant_id, everybody=False)
    assert again.users == 0
    (values,) = compute(await listening.ports.store.read([listening.user_id]), now_ms).tolist()
    features = dict(zip(NAMES, values, strict=True))
    assert features["sms_click_rate_7d"] == pytest.approx(0.5, abs=0.1)
    assert features["refusals_90d"] == pytest.approx(1, abs=0.01)
    assert features["active_hours_30d"] == pytest.approx(2, abs=0.1)
    instants = [now_ms - int(2.5 * DAY_MS), later_ms]
    seen = [
        float(memory.read([listening.user_id], at)["sent"][0, 2, 2])
        async for at, memory in replay(history.signs(listening.caller.tenant_id, 0, later_ms), instants)
    ]
    assert seen == [pytest.approx(1, abs=0.01), pytest.approx(2, abs=0.05)]
