"""Many messages a call: what shares content travels together, and everybody gets her own, byte by byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from email.header import decode_header, make_header
from itertools import cycle, islice

import pytest
import pytest_asyncio

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.delivery.model import Message
from tests.integration.providers.mail import KINDS, MailVendor, kinds_of, letter, newsletter, open_vendor

NAMES = ("Ada", "Bo & Co", "Grüße <b>", "O'Neil", '"quoted"', "$1 \\1 \\", "Friederike")
VENDORS_OWN = ("%s %recipient.c0%", "{{c0}}", "-clarion-c0-")
CALLS_OF_500 = {"sendgrid": 1, "ses": 10, "mailgun": 1}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest_asyncio.fixture
async def vendor(kind: str) -> AsyncGenerator[MailVendor]:
    async with open_vendor(kind) as vendor:
        yield vendor


def as_sent(messages: list[Message]) -> dict[bytes, tuple[str, str, str]]:
    return {message.delivery_id: (message.subject, message.text, message.html) for message in messages}


async def test_messages_of_a_template_share_calls_and_arrive_as_rendered(vendor: MailVendor, kind: str):
    messages = [newsletter(name) for name in islice(cycle(NAMES), 500)]
    outcomes = await vendor.send(*messages)
    assert kinds_of(outcomes) == ["sent"] * 500
    assert vendor.double.texts() == as_sent(messages)
    assert len(vendor.server.requests) == CALLS_OF_500[kind]


async def test_content_that_looks_like_a_gap_of_the_vendors_goes_alone(vendor: MailVendor):
    messages = [newsletter(name) for name in (NAMES + VENDORS_OWN) * 3]
    outcomes = await vendor.send(*messages)
    assert set(kinds_of(outcomes)) == {"sent"}
    assert vendor.double.texts() == as_sent(messages)
    assert len(vendor.server.requests) > 1


async def test_every_recipient_has_her_own_headers(vendor: MailVendor):
    messages = [newsletter(name, headers={"X-Name": f"{name} ü"}) for name in ("Ada", "Bob", "Eve")]
    await vendor.send(*messages)
    arrived = {one["delivery_id"]: one["headers"] for one in vendor.double.arrived}
    for message in messages:
        headers = arrived[message.delivery_id]
        assert headers["List-Unsubscribe"] == message.headers["List-Unsubscribe"]
        assert str(make_header(decode_header(headers["X-Name"]))) == message.headers["X-Name"]


async def test_messages_that_answer_to_different_people_do_not_share_a_call(vendor: MailVendor):
    messages = [newsletter("Ada", headers={"Reply-To": f"desk{i % 2}@shop.example"}) for i in range(10)]
    outcomes = await vendor.send(*messages)
    assert kinds_of(outcomes) == ["sent"] * 10
    assert len(vendor.server.requests) == 2


async def test_one_bad_address_costs_only_itself(vendor: MailVendor):
    messages = [newsletter(f"user{i}") for i in range(40)]
    messages[7] = newsletter("user", to="nobody@refused.example")
    messages[23] = newsletter("user", to="nobody@refused.example")
    outcomes = await vendor.send(*messages)
    assert [place for place, outcome in enumerate(outcomes) if outcome.kind != "sent"] == [7, 23]
    assert kinds_of([outcomes[7], outcomes[23]]) == ["permanent"] * 2
    assert vendor.double.texts() == as_sent([m for m in messages if not m.to.endswith("@refused.example")])
    assert set(vendor.double.counts().values()) == {1}


async def test_a_template_of_which_no_message_is_like_another_still_goes_out(vendor: MailVendor):
    messages = [letter(text=f"{i} " * 400, html="", subject=f"{i}", shape="free:1:") for i in range(20)]
    outcomes = await vendor.send(*messages)
    assert kinds_of(outcomes) == ["sent"] * 20
    assert vendor.double.texts() == as_sent(messages)


async def test_values_too_large_for_a_gap_go_alone(vendor: MailVendor):
    rows = ["".join(f"<tr><td>{i} of {place}</td></tr>" for i in range(6000)) for place in range(3)]
    same = "<p>The same for everybody, which is a lot.</p>" * 6000
    messages = [letter(html=f"{same}<table>{row}</table>{same}", shape="orders:1:") for row in rows]
    outcomes = await vendor.send(*messages)
    assert kinds_of(outcomes) == ["sent"] * 3
    assert vendor.double.texts() == as_sent(messages)


async def test_an_unavailable_vendor_leaves_the_whole_call_for_later(vendor: MailVendor):
    vendor.server.script.extend([HttpReply(503, {}, b"<html>down for a moment</html>")] * 10)
    messages = [newsletter(f"user{i}") for i in range(20)]
    outcomes = await vendor.send(*messages)
    assert kinds_of(outcomes) == ["transient"] * 20
    assert not vendor.double.arrived
