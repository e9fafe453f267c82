"""Erasure through API and worker: how it goes through all stores, what it waits for, and what it leaves."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.postgres.queries import load_queries
from clarion.bootstrap import Worker
from clarion.compliance.erasure import ErasurePorts, LedgerEntry, replay
from clarion.delivery.model import Receipt
from clarion.entrypoints.erasing import open_erasures
from clarion.entrypoints.workers.erasures import step
from clarion.kernel.errors import Transient
from clarion.testing.waiting import eventually
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench, packed

pytestmark = pytest.mark.asyncio(loop_scope="session")


@dataclass(frozen=True)
class Erasing(Bench):
    """A tenant, and a worker who erases."""

    ports: ErasurePorts


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> AsyncGenerator[Erasing]:
    """The worker does not wait between rounds: nothing is under way when these tests ask again."""
    async with open_erasures(worker.region) as ports:
        yield Erasing(caller, worker, msgspec.structs.replace(ports, settle_ms=0))


async def erase(caller: Caller, user_id: str = "ada") -> str:
    """Ask for an erasure; its id."""
    answer = await caller.call("POST /compliance/erasures", {"user_id": user_id})
    assert answer.status == 202, answer.body
    return answer.json()["erasure_id"]


async def show(caller: Caller, erasure_id: str) -> dict[str, Any]:
    answer = await caller.call(f"GET /compliance/erasures/{erasure_id}")
    assert answer.status == 200, answer.body
    return answer.json()


async def complete(bench: Erasing, erasure_id: str) -> dict[str, Any]:
    """The erasure, once it is complete."""

    async def go_on() -> dict[str, Any]:
        await step(bench.ports)
        return await show(bench.caller, erasure_id)

    return await eventually(go_on, lambda shown: shown["status"] == "completed")


async def test_an_erased_user_is_gone_with_what_was_said_to_her(bench: Erasing):
    secret = f"secret-{secrets.token_hex(8)}"
    await bench.caller.user("ada", attributes={"word": secret})
    sent = await bench.caller.notify(data={"subject": secret, "body": secret}, metadata={"note": secret})
    await bench.handle()

    shown = await complete(bench, await erase(bench.caller))

    assert (await bench.caller.call("GET /users/ada")).status == 404
    rows = await bench.query(
        "SELECT n::text AS row FROM notifications n WHERE notification_id = $1",
        packed(sent["notification_id"]),
    )
    assert rows
    assert not any(secret in row["row"] for row in rows)
    removed = {store["target"]: store["removed"] for store in shown["stores"]}
    assert removed["postgres.keys"] == {"keys": 1}
    assert removed["postgres.profile"]["profiles"] == 1
    assert removed["postgres.notifications"]["notifications"] == len(rows)
    assert shown["certificate"]["erasure_id"] == shown["erasure_id"]
    assert b'"ada"' not in msgspec.json.encode(shown)


async def test_asked_twice_it_is_one_erasure_before_and_after(bench: Erasing):
    await bench.caller.user("ada")
    first, second = await asyncio.gather(erase(bench.caller), erase(bench.caller))
    assert first == second
    await complete(bench, first)
    assert await erase(bench.caller) == first


async def test_whom_nobody_knows_cannot_be_erased(bench: Erasing):
    answer = await bench.caller.call("POST /compliance/erasures", {"user_id": "nobody"})
    assert answer.status == 422
    assert answer.json()["errors"][0]["path"] == "user_id"


async def test_a_user_who_was_deleted_before_is_erased_with_what_was_said_to_her(bench: Erasing):
    secret = f"secret-{secrets.token_hex(8)}"
    await bench.caller.user("ada")
    sent = await bench.caller.notify(data={"subject": secret, "body": secret})
    assert (await bench.caller.call("DELETE /users/ada")).status == 204
    await bench.caller.user("ada")

    shown = await complete(bench, await erase(bench.caller))

    removed = {store["target"]: store["removed"] for store in shown["stores"]}
    assert removed["postgres.notifications"]["notifications"] >= 1
    assert secret not in await words_of(bench, sent["notification_id"])
    assert (await bench.caller.call("GET /users/ada")).status == 404


async def words_of(bench: Erasing, notification_id: str) -> str:
    """The rows of a notification, as text."""
    query = "SELECT n::text AS row FROM notifications n WHERE notification_id = $1"
    rows = await bench.query(query, packed(notification_id))
    assert rows
    return " ".join(row["row"] for row in rows)


async def test_another_tenants_user_of_the_same_name_stays(bench: Erasing, other: Caller):
    await bench.caller.user("ada")
    await other.user("ada")
    erasure_id = await erase(bench.caller)
    assert (await other.call(f"GET /compliance/erasures/{erasure_id}")).status == 404
    await complete(bench, erasure_id)
    assert (await other.call("GET /users/ada")).status == 200
    assert (await other.call("GET /compliance/erasures")).json()["erasures"] == []


async def test_what_waits_is_cancelled_and_the_ledger_of_promises_holds(bench: Erasing):
    sent = await bench.send("ada")
    await complete(bench, await erase(bench.caller))
    assert await bench.open_items() == []
    shown = (await bench.caller.call(f"GET /notifications/{sent['ada']}")).json()
    assert {delivery["status"] for delivery in shown["deliveries"]} == {"cancelled"}
    rows = await bench.query(
        "SELECT count(*) AS rows FROM notifications WHERE tenant_id = $1", bench.caller.tenant_id
    )
    assert rows[0]["rows"] == 1


async def test_the_certificate_waits_for_what_a_worker_has_begun(bench: Erasing):
    await bench.send("ada")
    await bench.query(
        "UPDATE open_deliveries SET state = 'sending', leased_until = now() + interval '1 minute', lease_epoch = 1 "
        "WHERE tenant_id = $1",
        bench.caller.tenant_id,
    )
    erasure_id = await erase(bench.caller)

    async def go_on() -> dict[str, Any]:
        await step(bench.ports)
        return await show(bench.caller, erasure_id)

    waiting = await eventually(go_on, lambda shown: shown["problem"] is not None)
    assert waiting["status"] == "running"
    assert "being sent" in waiting["problem"]

    await bench.query(
        "UPDATE open_deliveries SET leased_until = now() WHERE tenant_id = $1", bench.caller.tenant_id
    )
    shown = await complete(bench, erasure_id)
    removed = {store["target"]: store["removed"] for store in shown["stores"]}
    assert removed["postgres.deliveries"]["deliveries"] == 1
    assert await bench.statuses() == {"unknown": 1}


async def test_what_a_late_receipt_says_of_an_erased_user_is_not_kept(bench: Erasing):
    sent = await bench.send("ada")
    await bench.handle()
    await complete(bench, await erase(bench.caller))
    late = f"secret-{secrets.token_hex(8)}"
    receipt = Receipt(late, packed(sent["ada"]), "bounced", bench.worker.clock.now_ms(), detail=late)
    rows = await bench.query(
        "SELECT global_id FROM notifications WHERE notification_id = $1", packed(sent["ada"])
    )
    receipt = msgspec.structs.replace(receipt, delivery_id=rows[0]["global_id"])
    await bench.worker.receipts.put("sandbox-email", [receipt])

    async def folded() -> bool:
        await bench.worker.receipts.project(100, bench.worker.clock.now_ms())
        return set(await bench.statuses()) == {"failed"}

    await eventually(folded)
    assert late not in await words_of(bench, sent["ada"])


async def test_an_objection_outlives_the_user(bench: Erasing):
    await bench.caller.user("ada")
    await bench.query(
        "INSERT INTO suppressions (tenant_id, user_id, channel, reason) "
        "SELECT tenant_id, user_id, 'email', 'complaint' FROM user_profiles WHERE tenant_id = $1",
        bench.caller.tenant_id,
    )
    shown = await complete(bench, await erase(bench.caller))
    removed = {store["target"]: store["removed"] for store in shown["stores"]}
    assert removed["postgres.profile"]["objections"] == 1
    await bench.caller.user("ada")
    back = await bench.query(
        "SELECT s.reason FROM suppressions s JOIN user_profiles u USING (user_id) WHERE u.tenant_id = $1",
        bench.caller.tenant_id,
    )
    assert [row["reason"] for row in back] == ["complaint"]


class NoLedger:
    """A global store that is away."""

    async def note(self, entry: LedgerEntry) -> None:
        """Raise Transient."""
        raise Transient(f"the global store is away, with {len(entry.user_ids)} numbers")

    async def page(self, after: bytes, limit: int) -> list[LedgerEntry]:
        """Raise Transient."""
        raise Transient(f"the global store is away: no {limit} entries after {after.hex()}")


async def test_nothing_is_removed_before_it_is_in_the_ledger(bench: Erasing):
    await bench.caller.user("ada")
    erasure_id = await erase(bench.caller)
    cut_off = msgspec.structs.replace(bench.ports, ledger=NoLedger())

    async def go_on() -> dict[str, Any]:
        await step(cut_off)
        return await show(bench.caller, erasure_id)

    shown = await eventually(go_on, lambda shown: shown["problem"] is not None)
    assert shown["problem"] == "ledger: the global store is away, with 1 numbers"
    assert (await bench.caller.call("GET /users/ada")).status == 200
    assert (await complete(bench, erasure_id))["problem"] is None


async def test_what_came_back_in_a_hung_process_is_erased_again(bench: Erasing):
    sent = await bench.send("ada")
    erasure_id = await erase(bench.caller)
    await complete(bench, erasure_id)
    late = f"secret-{secrets.token_hex(8)}"
    await bench.query(
        "UPDATE notifications SET erased_at = NULL, metadata = jsonb_build_object('late', $2::text) "
        "WHERE notification_id = $1",
        packed(sent["ada"]),
        late,
    )
    assert await bench.worker.region.erasures.reopen_returned() >= 1
    await complete(bench, erasure_id)
    assert late not in await words_of(bench, sent["ada"])


async def test_a_replay_of_everything_gives_each_erasure_a_new_certificate(bench: Erasing):
    await bench.caller.user("ada")
    erasure_id = await erase(bench.caller)
    first = await complete(bench, erasure_id)
    assert await replay(bench.ports, everything=True) >= 1
    again = await complete(bench, erasure_id)
    assert (first["origin"], again["origin"]) == ("request", "restore")
    assert again["certificate"]["signature"] != first["certificate"]["signature"]


# Tables that name users and are in no erasure, each with the reason.
NOT_ERASED = {
    "erasures": "holds numbers and a keyed hash; the name goes with the certificate",
    "former_users": "a keyed hash; goes with the certificate",
    "consent_events": "the chain of words is proof; evidence is under the destroyed key",
    "notifications": "rows stay without words; cleared by `clear_notifications`",
    "exports": "erased by the store of exports itself",
}


async def test_every_table_that_names_users_is_erased_or_excused(bench: Erasing):
    tables = await bench.query(
        "SELECT DISTINCT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') "
        "AND NOT c.relispartition AND a.attname IN ('user_id', 'user_ids', 'external_id', 'subject')"
    )
    erased = set(re.findall(r"DELETE FROM (\w+)", " ".join(load_queries("erasure_targets").values())))
    named = {row["relname"] for row in tables}
    assert len(named) > 10
    assert named - erased == set(NOT_ERASED)
