"""What callers get wrong: each is refused with its path, and stops nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from clarion.entrypoints.api.body import MAX_BATCH_BYTES, MAX_BYTES
from clarion.testing.http import HttpAnswer, request_head
from tests.integration.api.support import Api, Caller, notification

pytestmark = pytest.mark.asyncio(loop_scope="session")


def problem(answer: HttpAnswer, status: int) -> dict[str, Any]:
    """The problem of an answer, which has everything that a problem has."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:clarion:problem:")
    assert told["title"]
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"]
    assert b"Traceback" not in answer.body
    return told


def path_of(answer: HttpAnswer, status: int = 400) -> str:
    """The path of the one wrong value."""
    (error,) = problem(answer, status)["errors"]
    assert error["detail"]
    return error["path"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"user_id": "nobody"}, "user_id"),
        ({"category": "gossip"}, "category"),
        ({"template": "none"}, "template"),
    ],
    ids=["user", "category", "template"],
)
async def test_a_body_that_names_what_is_not_there(caller: Caller, fields: dict[str, Any], path: str):
    await caller.user()
    answer = await caller.call("POST /notifications", notification(**fields))
    assert path_of(answer, 422) == path


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"optimization": {"channels": ["email", "fax"]}}, "optimization.channels[1]"),
        ({"optimization": {"send_time": "later"}}, "optimization.send_time"),
        (
            {"optimization": {"send_time": "scheduled", "scheduled_at": "2020-01-01T00:00:00Z"}},
            "optimization.scheduled_at",
        ),
        (
            {"optimization": {"send_time": "scheduled", "scheduled_at": "2100-01-01T00:00:00Z"}},
            "optimization.scheduled_at",
        ),
        ({"optimization": {"scheduled_at": "2030-01-01T00:00:00"}}, "optimization.scheduled_at"),
        ({"optimization": {"channel_selection": "specified"}}, "optimization.channels"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"priority": 11}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"data": {}}, "data"),
        ({"data": []}, "data"),
        ({"prioritty": 5}, "prioritty"),
        ({"optimization": {"sendtime": "now"}}, "optimization.sendtime"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "u" * 201}, "user_id"),
    ],
    ids=[
        "channel",
        "send-time",
        "past",
        "beyond-horizon",
        "naive-time",
        "no-channels",
        "expired",
        "priority-range",
        "priority-type",
        "nothing-to-say",
        "data-type",
        "unknown-field",
        "unknown-inner-field",
        "empty-name",
        "long-name",
    ],
)
async def test_a_value_that_cannot_be(caller: Caller, fields: dict[str, Any], path: str):
    await caller.user()
    assert path_of(await caller.call("POST /notifications", notification(**fields))) == path


async def test_a_missing_field_is_named(caller: Caller):
    assert path_of(await caller.call("POST /notifications", {"user_id": "ada"})) == "category"


@pytest.mark.parametrize("zone", ["Mars/Phobos", "CEST+1", "../etc/passwd", "localtime"])
async def test_a_time_zone_that_is_none(caller: Caller, zone: str):
    assert path_of(await caller.call("PUT /users/ada", {"timezone": zone})) == "timezone"


async def test_a_missing_template_variable_fails_that_channel_alone_and_is_named(caller: Caller):
    parts = {"email": {"subject": "{{ gone }}", "text": "x"}, "sms": {"body": "Hello {{ who }}"}}
    saved = await caller.call("PUT /templates/t", {"category": "service", "channels": parts})
    assert saved.status == 200
    shown = (await caller.call("POST /templates/t/preview", {"data": {"who": "Ada"}})).json()["channels"]
    assert shown["email"]["error"]["variable"] == "gone"
    assert shown["sms"] == {"body": "Hello Ada"}


UNSTORABLE = {
    "nul": b"a\\u0000b",
    "high-surrogate": b"a\\ud800b",
    "low-surrogate": b"a\\udc00",
    "surrogates-reversed": b"\\udc00\\ud800",
    "at-the-end": b"a\\ud83d",
    "invalid-utf8": b"a\xffb",
    "overlong": b"\xc0\xaf",
    "utf8-surrogate": b"\xed\xa0\x80",
}


@pytest.mark.parametrize("kind", UNSTORABLE)
async def test_text_that_no_store_keeps_is_refused_with_its_path(caller: Caller, kind: str):
    await caller.user()
    body = b'{"user_id":"ada","category":"service","data":{"body":"x","list":[1,{"deep":"%s"}]}}'
    answer = await caller.call("POST /notifications", body=body % UNSTORABLE[kind])
    assert path_of(answer) == "data.list[1].deep"


@pytest.mark.parametrize("kind", UNSTORABLE)
async def test_text_that_no_store_keeps_fails_its_item_alone(caller: Caller, kind: str):
    await caller.user()
    good = msgspec.json.encode(notification())
    bad = b'{"user_id":"ada","category":"service","data":{"body":"%s"}}' % UNSTORABLE[kind]
    body = b'{"notifications":[%s,%s,%s]}' % (good, bad, good)
    answer = await caller.call("POST /notifications/batch", body=body)
    assert answer.status == 201, answer.body
    first, second, third = answer.json()["results"]
    assert first["status"] == third["status"] == "queued"
    assert (second["index"], second["error"]["path"]) == (1, "data.body")


async def test_whole_surrogate_pairs_and_escaped_backslashes_are_text(caller: Caller):
    await caller.user()
    body = rb'{"user_id":"ada","category":"service","data":{"body":"\ud83d\ude00 \\ud800 \\u0000 \u00e9"}}'
    assert (await caller.call("POST /notifications", body=body)).status == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"user_id":"ada",}',
        b'{"user_id":"ada"} {}',
        b'{"user_id":01}',
        b"\xef\xbb\xbf{}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"user_id":"ada","category":"service","data":{"body":"x","n":1e999}}',
        b"[]",
        b"null",
    ],
    ids=[
        "empty",
        "cut",
        "words",
        "comma",
        "two",
        "zero",
        "bom",
        "long-number",
        "infinite",
        "array",
        "null",
    ],
)
async def test_what_is_no_json_object(caller: Caller, body: bytes):
    problem(await caller.call("POST /notifications", body=body), 400)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
@pytest.mark.parametrize("depth", [40, 600, 100_000])
async def test_nesting_without_end(caller: Caller, opening: bytes, depth: int):
    closing = b"]" if opening == b"[" else b"}"
    nested = opening * depth + b"1" + closing * depth
    body = b'{"user_id":"ada","category":"service","data":{"body":"x","deep":%s}}' % nested
    problem(await caller.call("POST /notifications", body=body), 400)
    batch = b'{"notifications":[%s]}' % body
    answer = await caller.call("POST /notifications/batch", body=batch)
    assert answer.status == 400 or "error" in answer.json()["results"][0]


async def test_32_levels_pass(caller: Caller):
    await caller.user()
    deep = b"[" * 29 + b"]" * 29
    body = b'{"user_id":"ada","category":"service","data":{"body":"x","deep":%s}}' % deep
    assert (await caller.call("POST /notifications", body=body)).status == 201


@pytest.mark.parametrize(
    ("value", "path"), [([0] * 1001, "data.many"), ({f"k{i}": 0 for i in range(1001)}, "data.many")]
)
async def test_more_than_1000_entries(caller: Caller, value: Any, path: str):
    answer = await caller.call("POST /notifications", notification(data={"body": "x", "many": value}))
    assert path_of(answer) == path


async def test_1000_entries_pass(caller: Caller):
    await caller.user()
    answer = await caller.call("POST /notifications", notification(data={"body": "x", "many": [0] * 1000}))
    assert answer.status == 201


async def test_a_batch_with_3_bad_of_1000_takes_997(caller: Caller):
    await caller.user()
    items: list[Any] = [notification() for _ in range(1000)]
    items[3] = notification(user_id="nobody")
    items[500] = notification(priority=99)
    items[999] = {"category": "service", "extra": 1}
    answer = await caller.call("POST /notifications/batch", {"notifications": items})
    assert answer.status == 201
    results = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(1000))
    failed = {result["index"]: result["error"] for result in results if "error" in result}
    assert {index: error["path"] for index, error in failed.items()} == {
        3: "user_id",
        500: "priority",
        999: "extra",
    }
    assert {index: error["type"] for index, error in failed.items()} == {
        3: "unknown",
        500: "invalid",
        999: "invalid",
    }
    assert len({result["notification_id"] for result in results if "error" not in result}) == 997


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"notifications": []}', "notifications"),
        (b'{"notifications": [%s{}]}' % (b"{}," * 1000), "notifications"),
        (b'{"notifications": 3}', "notifications"),
        (b'{"items": []}', "items"),
        (b"{}", "notifications"),
    ],
    ids=["none", "too-many", "no-list", "unknown", "missing"],
)
async def test_a_batch_that_is_none(caller: Caller, body: bytes, path: str):
    assert path_of(await caller.call("POST /notifications/batch", body=body)) == path


async def test_lines_of_json_are_a_batch(caller: Caller):
    await caller.user()
    lines = [
        msgspec.json.encode(notification()),
        b"{bad",
        b"  ",
        msgspec.json.encode(notification(priority=-1)),
    ]
    answer = await caller.call(
        "POST /notifications/batch",
        body=b"\r\n".join(lines),
        headers={"content-type": "application/x-ndjson"},
    )
    assert answer.status == 201
    first, second, third = answer.json()["results"]
    assert first["status"] == "queued"
    assert second["error"]["type"] == "invalid"
    assert (third["index"], third["error"]["path"]) == (2, "priority")


@pytest.mark.parametrize(
    ("line", "limit"),
    [("POST /notifications", MAX_BYTES), ("POST /notifications/batch", MAX_BATCH_BYTES)],
    ids=["single", "batch"],
)
async def test_a_body_of_20_mb(caller: Caller, line: str, limit: int):
    assert limit < 20_000_000
    problem(await caller.call(line, body=b"x" * 20_000_000), 413)


@pytest.mark.parametrize("line", ["POST /notifications", "POST /notifications/batch"])
async def test_a_body_of_20_mb_that_does_not_say_so(caller: Caller, line: str):
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 1_000_000

    method, _, path = line.partition(" ")
    sent = {"content-type": "application/json"}
    problem(await caller.client.chunked(f"{method} /api/v1{path}", chunks(), sent), 413)


async def test_a_body_in_small_late_chunks_is_read(caller: Caller):
    await caller.user()
    body = msgspec.json.encode(notification())

    async def chunks() -> AsyncIterator[bytes]:
        for i in range(0, len(body), 7):
            await asyncio.sleep(0)
            yield body[i : i + 7]

    sent = {"content-type": "application/json"}
    assert (await caller.client.chunked("POST /api/v1/notifications", chunks(), sent)).status == 201


async def test_a_connection_that_ends_inside_its_body_disturbs_nobody(api: Api, caller: Caller):
    await caller.user()
    for _ in range(20):
        async with api.connect() as connection:
            sent = {**caller.client.headers, "content-length": "500"}
            await connection.send(request_head("POST /api/v1/notifications", sent, None) + b'{"user_id"')
    await caller.notify()


@pytest.mark.parametrize(
    "media",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=latin-1",
    ],
)
async def test_a_body_of_another_type(caller: Caller, media: str):
    answer = await caller.call("POST /notifications", body=b"{}", headers={"content-type": media})
    problem(answer, 415)
    assert answer.headers["accept"] == "application/json"


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=utf-8", ""])
async def test_json_by_its_names(caller: Caller, media: str):
    await caller.user()
    answer = await caller.call(
        "POST /notifications", body=msgspec.json.encode(notification()), headers={"content-type": media}
    )
    assert answer.status == 201


async def test_lines_are_read_where_a_batch_is_and_nowhere_else(caller: Caller):
    sent = {"content-type": "application/x-ndjson"}
    problem(await caller.call("POST /notifications", body=b"{}", headers=sent), 415)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
async def test_a_compressed_body(caller: Caller, coding: str):
    answer = await caller.call("POST /notifications", body=b"{}", headers={"content-encoding": coding})
    problem(answer, 415)
    assert answer.headers["accept-encoding"] == "identity"


async def test_a_route_that_is_not_there(caller: Caller):
    for line in ("GET /campaigns", "POST /campaigns", "GET /users/a/b", "GET /nope"):
        problem(await caller.call(line), 404)
    problem(await caller.client.request("GET /"), 404)


async def test_a_method_that_is_not_there_keeps_allow(caller: Caller):
    answer = await caller.call("PATCH /users/ada", {})
    problem(answer, 405)
    assert {"GET", "PUT", "DELETE"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET /users/a%00b", 400),
        ("GET /users/%ff", 400),
        ("GET /users/" + "u" * 201, 400),
        ("GET /notifications/7", 404),
        ("GET /notifications/00000000-0000-0000-0000-000000000000", 404),
        ("GET /notifications/ffffffff-ffff-ffff-ffff-ffffffffffff", 404),
        ("GET /notifications/ffffffff-ffff-7fff-bfff-fffffffffff0", 404),
        ("POST /notifications/7/cancel", 404),
        ("DELETE /keys/7", 404),
    ],
)
async def test_a_path_that_names_nothing(caller: Caller, line: str, status: int):
    problem(await caller.call(line), status)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("status=lost", "status"),
        ("colour=red", "colour"),
        ("cursor=xx", "cursor"),
        ("cursor=" + "Z" * 32, "cursor"),
        ("since=yesterday", "since"),
        ("user_id=%00", "user_id"),
    ],
)
async def test_a_query_that_cannot_be(caller: Caller, query: str, path: str):
    assert path_of(await caller.call(f"GET /notifications?{query}")) == path


async def test_what_is_no_http_at_all_is_survived(api: Api, caller: Caller):
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n", b"A" * 70_000):
        async with api.connect() as connection:
            await connection.send(garbage + b"\r\n\r\n")
    assert (await caller.call("GET /me")).status == 200
