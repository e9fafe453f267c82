"""What features bring to a tenant, by what came of its messages: measured, shown, and switched off where it harms."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
import pytest

from clarion.adapters.postgres.ml_proofs import PostgresProofs
from clarion.adapters.postgres.ml_settings import PostgresMlSettings
from clarion.bootstrap import Worker
from clarion.entrypoints.proving import prove_tenant
from clarion.entrypoints.workers.trainer import prove_those_due
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

USERS: Final = 1_200
_SEND: Final = """
INSERT INTO notifications (global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority,
    status, template, template_version, payload, personalization, metadata, decision, journey_id, traceparent,
    ml_channel_score, sent_at, engaged_at, is_test)
SELECT gen_random_uuid(), now(), gen_random_uuid(), $1, 8000000 + n, 'news', 'email', 5, 'sent', '', 1, '{}', '{}',
    '{}', jsonb_build_object('category_class', $3::text, 'decision', jsonb_build_object('holdout', (n % 4 = 0)::int)),
    '', '', 0, now(), CASE WHEN n % 100 < CASE WHEN n % 4 = 0 THEN $4::int ELSE $5::int END
                   THEN now() + $6::bigint * interval '1 ms' END, $7
FROM generate_series(1, $2::int) n
"""
"""Every fourth user is held out from send times. $4, $5: percent who answer, of them and of the others, after $6 ms."""


async def send(worker: Worker, caller: Caller, held_out: int, treated: int, **odd: object) -> None:
    """A message to everybody."""
    async with worker.region.pools.pipeline() as connection:
        await connection.execute("SELECT ensure_partitions(7)")
        await connection.execute(
            _SEND,
            caller.tenant_id,
            USERS,
            odd.get("category_class", "marketing"),
            held_out,
            treated,
            odd.get("after_ms", 60_000),
            odd.get("is_test", False),
        )


def in_four_days(worker: Worker) -> int:
    """When the attribution windows of what was just sent are closed."""
    return worker.clock.now_ms() + 4 * DAY_MS


async def test_a_lift_is_found_and_shown_to_the_tenant_alone(worker: Worker, caller: Caller, other: Caller):
    assert (await caller.call("GET /ml/lift")).json() == {"features": [], "policies": None}
    await send(worker, caller, held_out=20, treated=60)
    await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    channel, send_time = (await caller.call("GET /ml/lift")).json()["features"]
    assert (send_time["feature"], send_time["lift"]["verdict"], send_time["returned"]) == (
        "send_time",
        "lift",
        False,
    )
    assert send_time["lift"]["low"] < 0.4 < send_time["lift"]["high"]
    assert (send_time["lift"]["users_held_out"], send_time["lift"]["users_treated"]) == (300, 900)
    assert channel["lift"]["verdict"] == "too little", "nobody is held out from it"
    assert (await other.call("GET /ml/lift")).json() == {"features": [], "policies": None}


async def test_nothing_planted_is_no_lift(worker: Worker, caller: Caller):
    await send(worker, caller, held_out=40, treated=40)
    _, send_time = sorted(
        await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker)), key=lambda p: p.feature
    )
    assert (send_time.lift.verdict, send_time.returned) == ("no lift", False)


async def test_what_harms_is_switched_off_once_and_may_be_tried_again(worker: Worker, caller: Caller):
    await send(worker, caller, held_out=60, treated=20)
    found = await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    assert [proof.feature for proof in found if proof.returned] == ["send_time"]
    settings = (await caller.call("GET /ml/settings")).json()
    assert settings["enabled"] == {"send_time": False, "channel": True}
    shown = (await caller.call("GET /ml/lift")).json()["features"]
    assert [one["returned"] for one in shown] == [False, True]

    assert (await caller.call("PUT /ml/settings", {})).status == 200
    again = await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    assert not any(proof.returned for proof in again), "what was before the return is not held against it"
    assert (await caller.call("GET /ml/settings")).json()["enabled"]["send_time"] is True


async def test_open_windows_tests_transactional_and_late_answers_say_nothing(worker: Worker, caller: Caller):
    await send(worker, caller, 0, 90, is_test=True)
    await send(worker, caller, 0, 90, category_class="transactional")
    await send(worker, caller, 0, 90, after_ms=5 * DAY_MS)
    now_ms, proofs = worker.clock.now_ms(), PostgresProofs(worker.region.pools)
    assert not (await proofs.outcomes(caller.tenant_id, 0, now_ms - DAY_MS)).sent.size
    outcomes = await proofs.outcomes(caller.tenant_id, now_ms - DAY_MS, now_ms + DAY_MS)
    assert outcomes.sent.tolist() == [1] * USERS
    assert not outcomes.answered.any()


async def test_one_process_looks_once_a_day(worker: Worker, caller: Caller):
    proofs, tenant_id = PostgresProofs(worker.region.pools), caller.tenant_id
    assert await proofs.due([tenant_id], DAY_MS) == [tenant_id]
    assert await proofs.take(tenant_id, DAY_MS, HOUR_MS) is True
    assert await proofs.take(tenant_id, DAY_MS, HOUR_MS) is False
    assert await proofs.due([tenant_id], DAY_MS) == []
    assert await proofs.due([tenant_id], DAY_MS - HOUR_MS) == [tenant_id], (
        "its lease ends, unless it was done"
    )
    await proofs.end(tenant_id)
    assert await proofs.due([tenant_id], DAY_MS - HOUR_MS) == []


async def test_the_role_proves_to_each_tenant_once_a_day(worker: Worker, caller: Caller):
    await prove_those_due(worker, [caller.tenant_id], asyncio.Event())
    assert await PostgresProofs(worker.region.pools).due([caller.tenant_id], DAY_MS - HOUR_MS) == []


def returns(worker: Worker) -> float:
    """How often send times were switched off in this process, as it is scraped."""
    samples = [sample for metric in worker.metrics.learning.returns.collect() for sample in metric.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.labels == {"feature": "send_time"} and "total" in sample.name
    )


async def test_a_return_is_written_down_and_the_settings_from_before_can_be_put_back(
    worker: Worker, caller: Caller
):
    await send(worker, caller, held_out=60, treated=20)
    before = await caller.call("GET /ml/settings")
    counted = returns(worker)
    await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    assert returns(worker) == counted + 1
    (act,) = (await caller.call("GET /compliance/audit?operation=return_to_baseline")).json()["acts"]
    assert (act["actor"], act["target"], act["outcome"]) == ("system", "ml/settings", "done")
    latest = (await caller.call("GET /ml/settings/history")).json()["settings"][0]
    assert latest["settings"] == before.json()
    assert (f'"{latest["version"]}"', latest["replaced_by"]) == (before.headers["etag"], "system")
    assert (await caller.call("PUT /ml/settings", latest["settings"])).json() == before.json()


async def test_what_a_person_writes_meanwhile_is_never_lost(worker: Worker, caller: Caller):
    await send(worker, caller, held_out=60, treated=20)
    store = PostgresMlSettings(worker.region.pools)
    settings, _ = await store.current(caller.tenant_id)
    hers = msgspec.structs.replace(settings, exploration=0.31)
    async with worker.region.pools.pipeline() as connection, connection.transaction():
        # She is writing: the lane has read what was before, and waits for her to have done.
        await connection.execute(
            "UPDATE tenant_settings SET ml = $2, ml_version = ml_version + 1 WHERE tenant_id = $1",
            caller.tenant_id,
            msgspec.json.encode(hers),
        )
        lane = asyncio.create_task(prove_tenant(worker.region, caller.tenant_id, in_four_days(worker)))
        await _waits_for_a_lock(worker)
    assert [proof.feature for proof in await lane if proof.returned] == ["send_time"]
    written = (await caller.call("GET /ml/settings")).json()
    assert (written["exploration"], written["enabled"]["send_time"]) == (0.31, False)


async def _waits_for_a_lock(worker: Worker) -> None:
    waiting = """SELECT count(*) FROM pg_stat_activity
                 WHERE wait_event_type = 'Lock' AND query LIKE '%ml_settings_history%' AND pid <> pg_backend_pid()"""
    async with worker.region.pools.pipeline() as connection:
        await eventually(lambda: connection.fetchval(waiting), within_s=10, every_s=0.01)


async def test_who_has_not_seen_the_latest_settings_does_not_write_over_them(caller: Caller):
    seen = (await caller.call("GET /ml/settings")).headers["etag"]
    put, body = "PUT /api/v1/ml/settings", {"exploration": 0.1}
    first = await caller.client.request(put, body, headers={"if-match": seen})
    assert first.status == 200
    assert first.headers["etag"] != seen
    assert (await caller.client.request(put, {}, headers={"if-match": seen})).status == 409
    assert (await caller.client.request(put, {}, headers={"if-match": '"x"'})).status == 400
    assert (await caller.call("GET /ml/settings")).json()["exploration"] == 0.1
    assert (await caller.client.request(put, {}, headers={"if-match": "*"})).status == 200


_BEFORE: Final = """
UPDATE notifications n SET decision = jsonb_set(n.decision, '{decision,holdout}', '0'),
    engaged_at = CASE WHEN n.user_id % 100 < 30 THEN n.sent_at + interval '1 minute' END
WHERE n.tenant_id = $1
"""


async def test_what_was_known_before_anybody_was_held_out_takes_off_noise(worker: Worker, caller: Caller):
    await send(worker, caller, held_out=0, treated=0)
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(_BEFORE, caller.tenant_id)
    await send(worker, caller, held_out=20, treated=40)
    assert await PostgresProofs(worker.region.pools).take(caller.tenant_id, DAY_MS, HOUR_MS)
    await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    channel, send_time = (await caller.call("GET /ml/lift")).json()["features"]
    assert (send_time["lift"]["users_held_out"], send_time["lift"]["users_treated"]) == (300, 900)
    assert send_time["lift"]["low"] < 0.2 < send_time["lift"]["high"]
    assert send_time["lift"]["reduced"] > 0.3
    assert channel["lift"]["reduced"] == send_time["lift"]["reduced"]


async def test_without_a_time_before_nothing_is_taken_off(worker: Worker, caller: Caller):
    await send(worker, caller, held_out=20, treated=40)
    await PostgresProofs(worker.region.pools).take(caller.tenant_id, DAY_MS, HOUR_MS)
    await prove_tenant(worker.region, caller.tenant_id, in_four_days(worker))
    shown = (await caller.call("GET /ml/lift")).json()["features"]
    assert [feature["lift"]["reduced"] for feature in shown] == [0.0, 0.0]
