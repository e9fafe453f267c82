"""Every administrative act over the API stands in the log, with who, what, before and after, and no secret."""

from __future__ import annotations

import csv
import io
from typing import Any

import asyncpg
import msgspec
import pytest

from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.compliance.audit import verify_audit_chain
from clarion.testing.http import HttpAnswer
from clarion.testing.stores import SharedStores
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

CATEGORY = {"class": "service", "ttl": 60}
SECRET = "hunter2-and-a-half"


async def acts(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = await caller.call(f"GET /compliance/audit{query}")
    assert answer.status == 200, answer.body
    return answer.json()["acts"]


async def test_an_act_is_told_with_before_and_after(caller: Caller):
    await caller.call("PUT /categories/offers", CATEGORY)
    told = {"x-audit-reason": "Längere Frist", "x-request-id": "ticket-7"}
    await caller.call(
        "PUT /categories/offers",
        {**CATEGORY, "ttl": 90},
        headers={**told, "x-audit-reason": told["x-audit-reason"].encode().decode("latin-1")},
    )
    second, first = await acts(caller)
    assert first["before"] is None
    assert first["after"]["ttl"] == 60
    assert (second["before"]["ttl"], second["after"]["ttl"], second["request"]["ttl"]) == (60, 90, 90)
    assert (second["operation"], second["target"], second["outcome"], second["status"]) == (
        "put_category",
        "categories/offers",
        "done",
        200,
    )
    assert (second["reason"], second["request_id"], second["ip"]) == (
        "Längere Frist",
        "ticket-7",
        "127.0.0.1",
    )
    me = (await caller.call("GET /me")).json()
    assert second["actor"] == f"key:{me['key_id']}"


async def test_secrets_are_told_as_set_and_changed(caller: Caller):
    body = {
        "kind": "sendgrid",
        "channel": "email",
        "settings": {"from": "a@example.com"},
        "credentials": {"api_key": SECRET},
    }
    for _ in range(2):
        assert (await caller.call("PUT /providers/mail", body)).status == 200
    key = (await caller.call("POST /keys", {"name": "shop"})).json()
    found = await acts(caller)
    assert [act["operation"] for act in found] == ["post_key", "put_provider", "put_provider"]
    assert [act["request"]["credentials"]["api_key"] for act in found[1:]] == ["changed", "set"]
    assert found[0]["target"] == f"keys/{key['key_id']}"
    told = msgspec.json.encode(found).decode()
    assert SECRET not in told
    assert key["key"] not in told


async def test_a_refused_act_is_told_and_a_malformed_one_is_none(caller: Caller):
    assert (await caller.call("DELETE /providers/none")).status == 404
    assert (await caller.call("PUT /categories/offers", {"class": "nonsense"})).status == 400
    (only,) = await acts(caller)
    assert (only["operation"], only["outcome"], only["error"]) == (
        "delete_provider",
        "refused",
        "there is no such provider",
    )


async def test_users_are_told_by_pseudonyms(caller: Caller):
    await caller.user("ada-lovelace")
    await caller.call("DELETE /users/ada-lovelace")
    (only,) = await acts(caller, "?target=users/")
    assert "ada" not in msgspec.json.encode(only).decode()
    assert only["target"].startswith("users/~")


async def test_a_repeat_with_the_same_key_is_one_act(caller: Caller):
    for _ in range(2):
        answer = await caller.call("POST /keys", {"name": "shop"}, headers={"idempotency-key": "once"})
        assert answer.status == 201
    assert len(await acts(caller)) == 1


async def test_pages_and_filters(caller: Caller):
    for name in ("a", "b", "c"):
        await caller.call(f"PUT /categories/{name}", CATEGORY)
    answer = (await caller.call("GET /compliance/audit?limit=2")).json()
    rest = (await caller.call(f"GET /compliance/audit?limit=2&cursor={answer['next_cursor']}")).json()
    assert [act["target"] for act in answer["acts"] + rest["acts"]] == [
        "categories/c",
        "categories/b",
        "categories/a",
    ]
    assert rest["next_cursor"] is None
    assert len(await acts(caller, "?target=categories/b&operation=put_category")) == 1
    at = answer["acts"][0]["at"].replace("+", "%2B")
    assert len(await acts(caller, f"?from={at}")) == 1
    assert await acts(caller, f"?until={at}&operation=delete_category") == []


async def test_the_log_can_be_taken_away(caller: Caller):
    await caller.call("PUT /categories/offers", CATEGORY, headers={"x-audit-reason": "=HYPERLINK(1)"})
    lines = await caller.call("GET /compliance/audit.ndjson")
    table = await caller.call("GET /compliance/audit.csv")
    assert lines.headers["content-type"] == "application/x-ndjson"
    assert table.headers["content-type"] == "text/csv"
    (line,) = lines.body.splitlines()
    (row,) = csv.DictReader(io.StringIO(table.body.decode()))
    assert msgspec.json.decode(line)["target"] == row["target"] == "categories/offers"
    assert row["reason"] == "'=HYPERLINK(1)"


async def test_a_reason_has_bounds(caller: Caller):
    async def put(reason: str) -> HttpAnswer:
        return await caller.call("PUT /categories/offers", CATEGORY, headers={"x-audit-reason": reason})

    assert (await put("x" * 501)).status == 400
    assert (await put("\xff")).status == 400
    assert (await put("x" * 500)).status == 200


async def test_another_tenant_reads_nothing_of_it(caller: Caller, other: Caller):
    await caller.call("PUT /categories/offers", CATEGORY)
    assert await acts(other) == []


async def test_the_chain_of_what_the_api_did_holds(api: Api, caller: Caller):
    for name in ("a", "b"):
        await caller.call(f"PUT /categories/{name}", CATEGORY)
    region = api.gateway.region
    log = PostgresAuditLog(region.pools)
    verdict = await verify_audit_chain(log, caller.tenant_id, region.clock.now_ms())
    assert (verdict.rows, verdict.broken) == (4, None)


async def test_a_large_body_is_told_by_its_hash(caller: Caller):
    parts = {"html": "<p>" + "x" * 40_000 + "</p>", "subject": "s"}
    answer = await caller.call("PUT /templates/big", {"category": "service", "channels": {"email": parts}})
    assert answer.status in {200, 201}, answer.body
    (only,) = await acts(caller)
    assert only["request"]["bytes"] > 40_000
    assert len(only["request"]["sha256"]) == 64


async def test_an_act_that_cannot_be_written_down_does_not_happen(caller: Caller, stores: SharedStores):
    connection = await asyncpg.connect(stores.postgres_url.rpartition("/")[0] + "/clarion")
    # The last number that there is: no entry can come after it.
    await connection.execute(
        "INSERT INTO audit_log "
        "VALUES ($1, 9223372036854775807, now(), 0, '', '', '', 'begun', '', '', '', '{}', '', '')",
        caller.tenant_id.hex(),
    )
    try:
        assert (await caller.call("PUT /categories/offers", CATEGORY)).status >= 400
        assert (await caller.call("GET /categories/offers")).status == 404
        assert (await caller.user()) == "ada"  # what is no administrative act goes on
    finally:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            await connection.execute("DELETE FROM audit_log WHERE tenant_id = $1", caller.tenant_id.hex())
        await connection.close()
