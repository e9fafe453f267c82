"""Exports: all that is held about a user comes out, in every file, and to nobody else."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from typing import Any

import pytest

from clarion.bootstrap import Worker
from clarion.compliance.archive import read_manifest
from clarion.compliance.export import Export, carry_out
from clarion.compliance.ports import DataSubject
from clarion.entrypoints.exporting import export_ports, exports_of
from clarion.kernel.ids import format_id, parse_id
from tests.integration.api.support import Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

FIELDS = {
    "email": "canary-mail-7f3a@example.com",
    "phone": "+14155550177",
    "attributes": {"first_name": "CanaryName7f3a", "nested": {"deep": ["CanaryAttribute7f3a"]}},
    "language": "pt-BR",
    "region": "CanaryRegion7f3a",
    "country": "AU",
    "timezone": "Australia/Sydney",
    "device_tokens": [{"platform": "ios", "token": "canary-device-7f3a"}],
}
CANARIES = (
    "canary-mail-7f3a@example.com",
    "+14155550177",
    "CanaryName7f3a",
    "CanaryAttribute7f3a",
    "pt-BR",
    "CanaryRegion7f3a",
    "Australia/Sydney",
    "canary-device-7f3a",
    "canary-own-device-7f3a",
    "canary_event_7f3a",
    "CanaryProperty7f3a",
    "CanaryContext7f3a",
    "CanarySubject7f3a",
    "CanaryBody7f3a",
    "CanaryMeta7f3a",
    "CanaryWording7f3a",
    "203.0.113.77",
    "CanaryBrowser7f3a",
    "canary-source-7f3a",
    "CanaryEvidence7f3a",
    "canary-user-7f3a",
    "canary-segment-7f3a",
)
"""What was put in by every door: each has to come out."""


async def seed(caller: Caller) -> str:
    """A user with something everywhere; her id."""
    name = await caller.user("canary-user-7f3a", **FIELDS)

    async def put(line: str, body: Any) -> Any:
        answer = await caller.call(line, body)
        assert answer.status < 300, (line, answer.body)
        return answer.json() if answer.body else None

    await put(f"PUT /users/{name}/devices", {"platform": "android", "token": "canary-own-device-7f3a"})
    await put(
        "POST /events",
        {"user_id": name, "event": "canary_event_7f3a", "properties": {"item": "CanaryProperty7f3a"}},
    )
    await put("POST /personalization/context", {"user_id": name, "context": {"cart": ["CanaryContext7f3a"]}})
    await put(
        "POST /compliance/consent",
        {
            "user_id": name,
            "channel": "email",
            "category": "marketing",
            "consented": True,
            "source": "canary-source-7f3a",
            "wording": "CanaryWording7f3a",
            "ip_address": "203.0.113.77",
            "user_agent": "CanaryBrowser7f3a",
            "evidence": {"form": "CanaryEvidence7f3a"},
        },
    )
    await put(
        "POST /notifications",
        {
            "user_id": name,
            "category": "transactional",
            "data": {"subject": "CanarySubject7f3a", "body": "CanaryBody7f3a"},
            "metadata": {"order": "CanaryMeta7f3a"},
        },
    )
    await put("PUT /segments/canary-segment-7f3a", {"expression": "user.country == 'AU'"})
    return name


async def join_segment(worker: Worker, caller: Caller) -> None:
    """Put all of the tenant's users into all of her segments, as the worker that keeps them would."""
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE segments SET snapshot = 1, snapshot_at = now() WHERE tenant_id = $1", caller.tenant_id
        )
        await connection.execute(
            "INSERT INTO segment_members (segment_id, snapshot, user_id, tenant_id) "
            "SELECT s.segment_id, 1, u.user_id, s.tenant_id "
            "FROM segments s JOIN user_profiles u USING (tenant_id) WHERE s.tenant_id = $1",
            caller.tenant_id,
        )


async def ask(caller: Caller, name: str) -> str:
    """An export of a user; its id."""
    answer = await caller.call("POST /compliance/exports", {"user_id": name})
    assert answer.status == 202, answer.body
    return answer.json()["export_id"]


async def work(worker: Worker, ident: str) -> Export:
    """Carry one out."""
    export = await carry_out(export_ports(worker.region, worker.global_pool), parse_id(ident))
    assert export is not None
    return export


async def fetch(caller: Caller, ident: str) -> bytes:
    """Its archive."""
    answer = await caller.call(f"GET /compliance/exports/{ident}/archive")
    assert answer.status == 200, answer.body
    return answer.body


async def test_everything_that_was_put_in_comes_out(caller: Caller, worker: Worker):
    name = await seed(caller)
    await join_segment(worker, caller)
    ident = await ask(caller, name)
    assert (await work(worker, ident)).state == "ready"
    archive = await fetch(caller, ident)

    shown = (await caller.call(f"GET /compliance/exports/{ident}")).json()
    assert shown["status"] == "ready"
    assert shown["size"] == len(archive)
    assert shown["sha256"] == hashlib.sha256(archive).hexdigest()
    manifest = read_manifest(archive)
    assert manifest.user_id == name
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        texts = {one: opened.read(one).decode("utf-8-sig") for one in opened.namelist()}
    for ending in (".json", ".csv"):
        whole = "\n".join(text for one, text in texts.items() if one.endswith(ending))
        missing = [canary for canary in CANARIES if canary not in whole]
        assert missing == [], ending
    for one, text in texts.items():
        if one.endswith(".csv"):
            header, *rows = csv.reader(io.StringIO(text))
            records = json.loads(texts[one.removesuffix(".csv") + ".json"])
            assert len(rows) == len(records)
            assert all(len(row) == len(header) for row in rows)
    hidden = ("tenant_id", "hmac", "fingerprint", "sealed", "lease_epoch")
    assert [word for word in hidden if any(f'"{word}"' in text for text in texts.values())] == []


async def test_it_tells_nothing_about_others(caller: Caller, other: Caller, worker: Worker):
    await seed(caller)
    await seed(other)
    await caller.user("neighbour", email="neighbour@example.com")
    ident = await ask(caller, "neighbour")
    await work(worker, ident)
    archive = await fetch(caller, ident)
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        whole = "".join(opened.read(one).decode() for one in opened.namelist())
    assert "neighbour@example.com" in whole
    assert [canary for canary in CANARIES if canary in whole and canary != "Australia/Sydney"] == []
    for line in (f"GET /compliance/exports/{ident}", f"GET /compliance/exports/{ident}/archive"):
        assert (await other.call(line)).status == 404
    assert ident not in (await other.call("GET /compliance/exports")).body.decode()


async def test_asked_twice_it_is_one_export(caller: Caller, worker: Worker):
    name = await caller.user()
    first = await ask(caller, name)
    assert await ask(caller, name) == first
    assert (await caller.call(f"GET /compliance/exports/{first}/archive")).status == 409
    await work(worker, first)
    second = await ask(caller, name)
    assert second != first
    listed = (await caller.call("GET /compliance/exports?limit=1")).json()
    assert [one["export_id"] for one in listed["exports"]] == [second]
    page = (await caller.call(f"GET /compliance/exports?cursor={listed['next_cursor']}")).json()
    assert [one["export_id"] for one in page["exports"]] == [first]


async def test_nobody_is_422_and_no_export_is_404(caller: Caller):
    assert (await caller.call("POST /compliance/exports", {"user_id": "nobody"})).status == 422
    assert (await caller.call("GET /compliance/exports/nonsense")).status == 404
    assert (await caller.call("GET /compliance/exports?cursor=nonsense")).status == 400


async def test_a_worker_that_died_is_followed_by_another(caller: Caller, worker: Worker):
    name = await caller.user()
    ident = await ask(caller, name)
    store = exports_of(worker.region)
    assert await store.take(60_000, parse_id(ident)) is not None
    assert await carry_out(export_ports(worker.region, worker.global_pool), parse_id(ident)) is None
    async with worker.region.pools.pipeline() as connection:
        await connection.execute("UPDATE exports SET next_at = now() WHERE tenant_id = $1", caller.tenant_id)
    assert (await work(worker, ident)).state == "ready"


async def test_an_archive_ends_after_its_days(caller: Caller, worker: Worker):
    name = await caller.user()
    ident = await ask(caller, name)
    await work(worker, ident)
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE exports SET expires_at = now() WHERE tenant_id = $1", caller.tenant_id
        )
    assert (await caller.call(f"GET /compliance/exports/{ident}/archive")).status == 404
    while await exports_of(worker.region).drop_old():
        pass
    assert (await caller.call(f"GET /compliance/exports/{ident}")).json()["status"] == "expired"
    async with worker.region.pools.pipeline() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM export_parts WHERE tenant_id = $1", caller.tenant_id
        )
    assert left == 0


async def test_an_archive_at_rest_opens_with_her_key_only(caller: Caller, worker: Worker):
    name = await caller.user()
    ident = await ask(caller, name)
    export = await work(worker, ident)
    async with worker.region.pools.pipeline() as connection:
        (sealed,) = await connection.fetch(
            "SELECT sealed FROM export_parts WHERE tenant_id = $1", caller.tenant_id
        )
    assert b"profile.json" not in sealed["sealed"]
    await worker.region.keyring.destroy([export.user_id])
    assert (await caller.call(f"GET /compliance/exports/{ident}/archive")).status == 404


async def test_whoever_is_erased_meanwhile_gets_no_archive(caller: Caller, worker: Worker):
    name = await caller.user()
    ident = await ask(caller, name)
    found = await exports_of(worker.region).read(caller.tenant_id, parse_id(ident) or b"")
    assert found is not None
    await worker.region.keyring.destroy([found.user_id])
    ended = await work(worker, ident)
    assert (ended.state, ended.problem) == ("failed", "the user is gone")


async def test_an_erasure_takes_archives_and_requests_with_it(caller: Caller, other: Caller, worker: Worker):
    name = await caller.user()
    exports = exports_of(worker.region)
    ready = await work(worker, await ask(caller, name))
    waiting = await ask(caller, name)
    kept = await ask(other, await other.user())
    subject = DataSubject(caller.tenant_id, ready.user_id, name)
    assert await exports.erase(subject) == {"exports": 2, "parts": 1}
    assert await exports.erase(subject) == {"exports": 0, "parts": 0}
    assert (await caller.call(f"GET /compliance/exports/{waiting}")).status == 404
    assert await carry_out(export_ports(worker.region, worker.global_pool), parse_id(waiting)) is None
    assert (await other.call(f"GET /compliance/exports/{kept}")).status == 200


async def test_an_archive_that_was_moved_or_changed_at_rest_does_not_open(caller: Caller, worker: Worker):
    name = await caller.user()
    first, second = await work(worker, await ask(caller, name)), await work(worker, await ask(caller, name))
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE export_parts p SET sealed = o.sealed FROM export_parts o "
            "WHERE p.export_id = $1 AND o.export_id = $2",
            first.export_id,
            second.export_id,
        )
    answer = await caller.call(f"GET /compliance/exports/{format_id(first.export_id)}/archive")
    assert answer.status == 404
    assert b"profile" not in answer.body
