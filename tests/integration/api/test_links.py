"""Links of messages: followed, counted, unsubscribed by, and of no use to anybody who changes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from clarion.adapters.postgres.deliveries import PostgresDeliveryStore
from clarion.contracts.events import decode_events
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.links.tokens import DAY_MS, VALID_DAYS, LinkKind, Recipient
from clarion.kernel.ids import parse_id
from clarion.testing.http import HttpAnswer
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"content-type": "application/x-www-form-urlencoded"}
EMAIL, PUSH = 0, 1


class Reader:
    """Somebody who got a message, with the links in it."""

    def __init__(self, api: Api, caller: Caller, recipient: Recipient) -> None:
        self.api = api
        self.caller = caller
        self.recipient = recipient
        self.client = api.client()

    def link(self, kind: LinkKind, detail: str = "", age_days: int = 0) -> str:
        """A link of the message's, as it is `age_days` after it was sent."""
        region = self.api.gateway.region
        path = {LinkKind.CLICK: "/t/c/", LinkKind.OPEN: "/t/o/", LinkKind.UNSUBSCRIBE: "/u/"}.get(kind, "/p/")
        head = region.links.head(self.recipient, region.clock.now_ms() - age_days * DAY_MS)
        return path + region.links.sign(kind, head, detail.encode())

    async def get(self, path: str, headers: Mapping[str, str] = PERSON) -> HttpAnswer:
        return await self.client.request(f"GET {path}", headers=headers)

    async def post(self, path: str, fields: Any = None, headers: Mapping[str, str] = FORM) -> HttpAnswer:
        body = fields if isinstance(fields, bytes) else urlencode(fields or [], doseq=True).encode()
        return await self.client.request(f"POST {path}", body=body, headers=headers)

    async def consents(self) -> dict[tuple[str, str], tuple[bool, str]]:
        shown = (await self.caller.call("GET /compliance/consent/ada")).json()["consents"]
        return {(one["category"], one["channel"]): (one["consented"], one["source"]) for one in shown}

    async def shown(self) -> dict[str, Any]:
        return (await self.caller.call("GET /notifications")).json()["notifications"][0]["deliveries"][0]


async def reader_of(api: Api, caller: Caller, channel: int = EMAIL, **fields: Any) -> Reader:
    """Ada, who was sent an e-mail."""
    await caller.user()
    ident = parse_id((await caller.notify(**fields))["notification_id"])
    region = api.gateway.region
    async with region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE notifications SET status = 'sent' WHERE tenant_id = $1", caller.tenant_id
        )
        await connection.execute("DELETE FROM open_deliveries WHERE tenant_id = $1", caller.tenant_id)
    user_id = (await region.users.find_ids(caller.tenant_id, ["ada"]))["ada"]
    assert ident is not None
    return Reader(api, caller, Recipient(caller.tenant_id, delivery_id_for(ident, channel), user_id))


async def folded(reader: Reader, **expected: Any) -> dict[str, Any]:
    """The delivery, once its visits are folded so that it is as expected."""
    region = reader.api.gateway.region

    async def ask() -> dict[str, Any]:
        await region.receipts.project(100, region.clock.now_ms())
        return await reader.shown()

    return await eventually(ask, lambda shown: expected.items() <= shown.items())


@pytest_asyncio.fixture(loop_scope="session")
async def reader(api: Api, caller: Caller) -> Reader:
    return await reader_of(api, caller)


async def test_a_click_leads_to_its_target(reader: Reader):
    target = "https://shop.example/tea?a=1&b=%20#top"
    answer = await reader.get(reader.link(LinkKind.CLICK, target))
    assert (answer.status, answer.headers["location"], answer.body) == (302, target, b"")
    assert answer.headers["cache-control"] == "no-store"


async def test_a_persons_click_engages_and_a_repeat_changes_nothing(reader: Reader):
    link = reader.link(LinkKind.CLICK, "https://shop.example/")
    for _ in range(3):
        assert (await reader.get(link)).status == 302
    first = await folded(reader, status="engaged")
    assert (await reader.get(link)).status == 302
    await reader.api.gateway.region.receipts.project(100, reader.api.gateway.region.clock.now_ms())
    assert await reader.shown() == first


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(PERSON, "engaged", id="person"),
        pytest.param({"user-agent": "Mozilla/5.0"}, "delivered", id="apple"),
        pytest.param({**PERSON, "sec-purpose": "prefetch"}, "delivered", id="prefetch"),
        pytest.param({"user-agent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, "delivered", id="proxy"),
    ],
)
async def test_an_open_by_a_machine_proves_the_delivery_only(
    reader: Reader, headers: dict[str, str], status: str
):
    answer = await reader.get(reader.link(LinkKind.OPEN), headers)
    assert (answer.status, answer.headers["content-type"], answer.body[:6]) == (200, "image/gif", b"GIF89a")
    await folded(reader, status=status)
    async with reader.api.gateway.region.pools.pipeline() as connection:
        answered = await connection.fetchval(
            "SELECT engaged_at IS NOT NULL FROM notifications WHERE tenant_id = $1", reader.caller.tenant_id
        )
    assert answered is (status == "engaged"), "by this alone lift and experiments say who answered"


async def test_a_probe_is_answered_like_a_visit_and_counted_as_a_machines(reader: Reader):
    path = reader.link(LinkKind.CLICK, "https://shop.example/")
    answer = await reader.client.request(f"HEAD {path}", headers=PERSON)
    assert (answer.status, answer.headers["location"]) == (302, "https://shop.example/")
    await folded(reader, status="delivered")


async def test_a_probe_of_the_picture_gets_its_head_alone(reader: Reader):
    async with reader.api.connect() as connection:
        await connection.send(f"HEAD {reader.link(LinkKind.OPEN)} HTTP/1.1\r\nhost: t\r\n\r\n".encode())
        # Bytes of a body would stand before the next answer.
        await connection.send(b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n")
        first = await connection.receive(has_body=False)
        second = await connection.receive()
    assert (first.status, first.headers["content-type"], second.json()) == (
        200,
        "image/gif",
        {"status": "ok"},
    )


async def test_each_kind_of_visit_is_one_event(reader: Reader):
    for path in (reader.link(LinkKind.OPEN), reader.link(LinkKind.CLICK, "https://shop.example/")):
        assert (await reader.get(path)).status in {200, 302}
    await folded(reader, status="engaged")
    region = reader.api.gateway.region

    async def types() -> set[str]:
        await region.receipts.project(100, region.clock.now_ms())
        return set(await published(reader))

    await eventually(types, lambda seen: seen >= {"opened", "clicked", "engaged"})


async def published(reader: Reader) -> list[str]:
    """Types of the events about her delivery."""
    async with reader.api.gateway.region.pools.pipeline() as connection:
        rows = await connection.fetch("SELECT payload FROM outbox WHERE topic = 'notification-events'")
    return [
        event.type
        for row in rows
        for event in decode_events(row["payload"])
        if event.delivery_id == reader.recipient.delivery_id
    ]


async def test_unsubscribing_by_a_message_is_said_of_it_once(reader: Reader):
    for _ in range(2):
        assert (await reader.post(reader.link(LinkKind.UNSUBSCRIBE, "marketing"), ONE_CLICK)).status == 200
    assert (await published(reader)).count("unsubscribed") == 1


async def test_a_link_that_was_changed_leads_nowhere(reader: Reader, other: Caller):
    path = reader.link(LinkKind.CLICK, "https://shop.example/")
    theirs = (await reader_of(reader.api, other)).link(LinkKind.CLICK, "https://evil.example/")
    wrong = [
        path[:-1],
        path[:20] + ("A" if path[20] != "A" else "B") + path[21:],
        theirs[:65] + path[65:],
        path + "?url=https://evil.example/",
        "/t/c/https:%2f%2fevil.example",
        "/t/c/" + "A" * 5000,
        "/t/c/%F0%9F",
        path.replace("/t/c/", "/t/o/"),
        path.replace("/t/c/", "/u/"),
        reader.link(LinkKind.OPEN).replace("/t/o/", "/t/c/"),
        reader.link(LinkKind.CLICK, "https://shop.example/", age_days=VALID_DAYS + 1),
        reader.link(LinkKind.CLICK, "javascript:alert(1)"),
        reader.link(LinkKind.CLICK, "https://shop.example/\r\nset-cookie: a=b"),
    ]
    answers = [await reader.get(link) for link in wrong]
    ends = [(answer.status, answer.headers.get("location")) for answer in answers]
    # A query is no part of the token: it is ignored, and the target is the signed one.
    assert ends == [(302, "https://shop.example/") if "?url" in link else (404, None) for link in wrong]
    assert {answer.headers["content-type"] for answer in answers[4:]} == {"text/html; charset=utf-8"}


async def test_links_work_for_four_hundred_days(reader: Reader):
    for kind in (LinkKind.OPEN, LinkKind.UNSUBSCRIBE, LinkKind.PREFERENCES):
        assert (await reader.get(reader.link(kind, "marketing", age_days=VALID_DAYS))).status == 200
        assert (await reader.get(reader.link(kind, "marketing", age_days=VALID_DAYS + 1))).status == 404


async def test_get_never_unsubscribes(reader: Reader):
    path = reader.link(LinkKind.UNSUBSCRIBE, "marketing")
    pages = {(await reader.get(path)).status for _ in range(20)}
    assert pages == {200}
    assert await reader.consents() == {}


@pytest.mark.parametrize(
    ("body", "media"),
    [
        pytest.param(ONE_CLICK, "application/x-www-form-urlencoded", id="urlencoded"),
        pytest.param(
            b'--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            id="multipart",
        ),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"\xff\xfe=&&", "application/x-www-form-urlencoded", id="nonsense"),
    ],
)
async def test_one_click_stops_the_category_on_its_channel(reader: Reader, body: bytes, media: str):
    answer = await reader.post(reader.link(LinkKind.UNSUBSCRIBE, "marketing"), body, {"content-type": media})
    assert answer.status == 200
    assert await reader.consents() == {("marketing", "email"): (False, "one_click")}
    sent = await reader.caller.notify(category="marketing", optimization={"channels": ["email"]})
    assert sent["status"] == "blocked"
    assert {reason["rule"] for reason in sent["reasons"] if reason["channel"] == "email"} == {
        "consent_denied"
    }


async def test_the_page_stops_everything_too(reader: Reader):
    path = reader.link(LinkKind.UNSUBSCRIBE, "marketing")
    assert b'value="all"' in (await reader.get(path)).body
    answer = await reader.post(path, {"scope": "all"})
    assert (answer.status, b"Change what you get" in answer.body) == (200, True)
    said = await reader.consents()
    assert said == {("all", channel): (False, "unsubscribe_page") for channel in ("email", "push", "sms")}


async def test_what_cannot_be_stopped_is_not_said_to_be(reader: Reader):
    path = reader.link(LinkKind.UNSUBSCRIBE, "transactional")
    for answer in (await reader.get(path), await reader.post(path, {"scope": "category"})):
        text = answer.body.decode()
        assert "cannot be stopped here" in text
        assert re.findall(r'value="(\w+)"', text) == ["all"]
    assert await reader.consents() == {}


async def test_unsubscribing_again_writes_nothing(reader: Reader):
    path = reader.link(LinkKind.UNSUBSCRIBE, "marketing")
    for _ in range(3):
        assert (await reader.post(path, ONE_CLICK)).status == 200
    async with reader.api.gateway.region.pools.reader(reader.caller.tenant_id) as connection:
        events = await connection.fetchval("SELECT count(*) FROM consent_events")
    assert events == 1


async def test_a_link_acts_on_its_own_channel(api: Api, caller: Caller):
    reader = await reader_of(api, caller, PUSH)
    await reader.post(reader.link(LinkKind.UNSUBSCRIBE, "marketing"), ONE_CLICK)
    assert set(await reader.consents()) == {("marketing", "push")}


async def test_a_link_signed_for_one_tenant_touches_no_user_of_another(reader: Reader, other: Caller):
    mixed = Recipient(other.tenant_id, reader.recipient.delivery_id, reader.recipient.user_id)
    stranger = Reader(reader.api, other, mixed)
    assert (await stranger.post(stranger.link(LinkKind.UNSUBSCRIBE, "marketing"), ONE_CLICK)).status == 200
    assert (await stranger.get(stranger.link(LinkKind.PREFERENCES))).status == 404
    assert await reader.consents() == {}


async def test_who_was_deleted_can_still_unsubscribe(reader: Reader):
    await reader.caller.call("DELETE /users/ada")
    assert (await reader.post(reader.link(LinkKind.UNSUBSCRIBE, "marketing"), ONE_CLICK)).status == 200
    assert (await reader.get(reader.link(LinkKind.PREFERENCES))).status == 404


async def test_pages_need_nothing_from_elsewhere_and_escape_what_is_not_ours(reader: Reader):
    name = "<script>alert(1)</script>"
    path = reader.link(LinkKind.UNSUBSCRIBE, name)
    answer = await reader.get(path)
    text = answer.body.decode()
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert name not in text
    assert re.search(r'<html lang="en">.*<title>Unsubscribe</title>.*<main><h1>Unsubscribe</h1>', text)
    assert not re.search(r"<script|src=|https?://", text)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def ticked(page: HttpAnswer) -> set[str]:
    return set(re.findall(r'name="on" value="([^"]*)" checked', page.body.decode()))


def kinds(page: HttpAnswer) -> list[str]:
    return re.findall(r'name="kind" value="([^"]*)"', page.body.decode())


async def test_the_preferences_say_what_is_so_and_keep_what_is_chosen(reader: Reader):
    path = reader.link(LinkKind.PREFERENCES)
    page = await reader.get(path)
    anything = {f"{channel}:*" for channel in ("email", "push", "sms")}
    service = {f"{channel}:service" for channel in ("email", "push", "sms")}
    assert kinds(page) == ["*", "marketing", "service"]
    assert ticked(page) == anything | service
    boxes = re.findall(r'<label><span class="unseen">[^<]+</span><input type="checkbox"', page.body.decode())
    assert len(boxes) == 9
    wanted = (anything | {"email:marketing", "sms:service"}) - {"push:*"}
    saved = await reader.post(path, {"kind": kinds(page), "on": sorted(wanted)})
    assert b'role="status"' in saved.body
    assert ticked(saved) == wanted
    source = "preference_page"
    assert await reader.consents() == {
        ("all", "push"): (False, source),
        ("marketing", "email"): (True, source),
        ("service", "email"): (False, source),
        ("service", "push"): (False, source),
    }


async def test_who_stopped_everything_can_come_back_to_one_kind(reader: Reader):
    await reader.post(reader.link(LinkKind.UNSUBSCRIBE, "marketing"), {"scope": "all"})
    path = reader.link(LinkKind.PREFERENCES)
    page = await reader.get(path)
    assert ticked(page) & {"email:*", "push:*", "sms:*"} == set()
    saved = await reader.post(path, {"kind": kinds(page), "on": ["email:*", "email:service"]})
    assert {value for value in ticked(saved) if value.startswith("email")} == {"email:*", "email:service"}
    mail = {"optimization": {"channels": ["email"]}}
    assert (await reader.caller.notify(category="service", **mail))["status"] != "blocked"
    assert (await reader.caller.notify(category="marketing", **mail))["status"] == "blocked"


async def test_lines_that_were_not_shown_are_not_touched(reader: Reader):
    await reader.caller.call("PUT /categories/news", {"class": "service"})
    await reader.post(reader.link(LinkKind.PREFERENCES), {"kind": ["marketing"], "on": []})
    assert await reader.consents() == {}


async def test_what_she_switched_off_in_the_app_is_shown_and_can_be_switched_on(api: Api, caller: Caller):
    reader = await reader_of(api, caller)
    await caller.user(preferences={"service": ["email"], "*": ["sms"]})
    path = reader.link(LinkKind.PREFERENCES)
    page = await reader.get(path)
    assert ticked(page) & {"email:service", "sms:*"} == set()
    everything = [f"{channel}:{kind}" for kind in ("*", "service") for channel in ("email", "push", "sms")]
    await reader.post(path, {"kind": kinds(page), "on": everything})
    shown = (await caller.call("GET /users/ada")).json()
    assert shown["preferences"] == {}
    sent = await caller.notify(category="service", optimization={"channels": ["email"]})
    assert sent["status"] != "blocked"


async def test_the_links_of_a_tenant_are_its_own_to_set(caller: Caller, other: Caller):
    own = {"public_url": "https://links.shop.example", "tracking": False}
    assert (await caller.call("PUT /links", own)).json() == own
    assert (await caller.call("GET /links")).json() == own
    assert (await other.call("GET /links")).json() == {"public_url": "", "tracking": True}
    for url in ("ftp://a", "https://a/?b", "https://a/\n", "javascript:x", "https://a/"):
        assert (await caller.call("PUT /links", {"public_url": url})).status == 400


async def test_a_category_says_what_is_followed(caller: Caller):
    body = {"class": "marketing", "tracking": {"clicks": True}}
    shown = (await caller.call("PUT /categories/news", body)).json()
    assert shown["tracking"] == {"clicks": True, "opens": False}
    assert (await caller.call("GET /categories/marketing")).json()["tracking"] == {
        "clicks": False,
        "opens": False,
    }


async def test_a_request_names_what_its_push_replaces(api: Api, caller: Caller):
    tokens = [{"platform": "ios", "token": "token-of-ada"}]
    await caller.user(device_tokens=tokens)
    said = {"title": "Order", "body": "It is here"}
    sent = await caller.notify(
        data=said, metadata={"collapse_key": "order-1"}, optimization={"channels": ["push", "email"]}
    )
    ident = parse_id(sent["notification_id"])
    assert ident is not None
    items = [
        WorkItem(delivery_id_for(ident, index), caller.tenant_id, channel, 5)
        for index, channel in ((EMAIL, "email"), (PUSH, "push"))
    ]
    jobs = await PostgresDeliveryStore(api.gateway.region.pools).load(items)
    assert {job.item.channel: job.collapse_key for job in jobs} == {"push": "order-1"}
