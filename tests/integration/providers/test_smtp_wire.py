"""What arrives, byte for byte; and what is never let out."""

from __future__ import annotations

import email as stdlib_email
from email.policy import SMTPUTF8
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.testing.smtp import SmtpSink
from tests.integration.providers.support import MakeRelay, email, send_one


async def test_a_message_arrives_as_it_was_composed(sink: SmtpSink, relay: MakeRelay):
    made = email(
        to="ada@example.org",
        subject="Grüße",
        text="Hallo",
        html="<p>Hallo</p>",
        headers={"List-Unsubscribe": "<https://shop.example/u/1>"},
    )
    outcome = (await relay(reply_to="help@shop.example").send([made]))[0]
    arrived = (await sink.messages())[0]
    assert (outcome.kind, outcome.cost_micros) == ("sent", 0)
    assert outcome.provider_message_id == arrived.message_id == f"<{made.delivery_id.hex()}@shop.example>"
    assert (arrived.mail_from, arrived.recipients) == ("news@shop.example", ["ada@example.org"])
    parsed = stdlib_email.message_from_bytes(arrived.content, policy=SMTPUTF8)
    assert {
        name: str(parsed[name]) for name in ("From", "To", "Subject", "Reply-To", "List-Unsubscribe")
    } == {
        "From": "Shop <news@shop.example>",
        "To": "ada@example.org",
        "Subject": "Grüße",
        "Reply-To": "help@shop.example",
        "List-Unsubscribe": "<https://shop.example/u/1>",
    }
    assert str(parsed["Date"]) == "Fri, 15 Jan 2027 08:00:00 +0000"


async def test_each_attempt_has_the_same_message_id(sink: SmtpSink, relay: MakeRelay):
    made = email()
    provider = relay()
    (first,), (second,) = await provider.send([made]), await provider.send([made])
    assert (first.kind, first.provider_message_id) == ("sent", second.provider_message_id)
    report = await sink.report()
    assert (report.received, report.distinct, report.duplicates) == (2, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "harmless\r\n.\r\nMAIL FROM:<eve@example.org>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nhi\r\n.\r\n",
        "harmless\n.\nMAIL FROM:<eve@example.org>\n",
        "harmless\r.\rMAIL FROM:<eve@example.org>\r",
        "harmless\n.\r\nMAIL FROM:<eve@example.org>",
        "harmless\r\n.\nMAIL FROM:<eve@example.org>",
        ".",
        "..\n...\n.x",
    ],
)
async def test_nothing_in_a_text_ends_the_message_early(sink: SmtpSink, relay: MakeRelay, text: str):
    provider = relay(concurrency=1)
    outcomes = await provider.send([email(text=text), email(text="the next one")])
    arrived = await sink.messages()
    assert [outcome.kind for outcome in outcomes] == ["sent", "sent"]
    assert [message.recipients for message in arrived] == [["ada@example.org"]] * 2
    for message in arrived:
        assert message.wire.endswith(b"\r\n.\r\n")
        inner = message.wire.removesuffix(b"\r\n.\r\n")
        assert b"\r\n.\r\n" not in inner
        assert b"\r" not in inner.replace(b"\r\n", b"")
        assert b"\n" not in inner.replace(b"\r\n", b"")
    parsed = stdlib_email.message_from_bytes(arrived[0].content, policy=SMTPUTF8)
    content = parsed.get_content()
    assert isinstance(content, str)
    assert content.split() == text.split()


hostile = st.text(st.sampled_from("ab.\r\n \t=?<>@é\0"), max_size=60)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(hostile, hostile, hostile, hostile), min_size=1, max_size=8))
async def test_whatever_is_sent_as_much_arrives_as_was_reported(
    sink: SmtpSink, relay: MakeRelay, batch: list[tuple[str, str, str, str]]
):
    await sink.reset()
    provider = relay()
    messages = [
        email(to=f"a{local}@example.org", subject=subject, text=text, headers={"X-Note": note})
        for local, subject, text, note in batch
    ]
    outcomes = await provider.send(messages)
    await provider.close()
    arrived = {message.message_id for message in await sink.messages()}
    sent = {f"<{outcome.delivery_id.hex()}@shop.example>" for outcome in outcomes if outcome.kind == "sent"}
    assert arrived == sent
    assert {outcome.kind for outcome in outcomes} <= {"sent", "permanent"}
    assert (await sink.report()).received == len(sent)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "ada@example.org\r\nRCPT TO:<eve@example.org>"}, "invalid_header"),
        ({"to": "ada@example.org>\0"}, "invalid_header"),
        ({"to": "ada@example.org> BODY=8BITMIME"}, "invalid_address"),
        ({"to": "ada"}, "invalid_address"),
        ({"to": "@example.org"}, "invalid_address"),
        ({"to": "ada@exa mple.org"}, "invalid_address"),
        ({"to": "a" * 65 + "@example.org"}, "invalid_address"),
        ({"to": "ада@-пример.рф"}, "invalid_address"),
        ({"to": "one@example.org, two@example.org"}, "invalid_address"),
        ({"to": ""}, "no_address"),
        ({"subject": "Hi\r\nBcc: eve@example.org"}, "invalid_header"),
        ({"subject": "Hi\nBcc: eve@example.org"}, "invalid_header"),
        ({"headers": {"X-Note": "a\rb"}}, "invalid_header"),
        ({"headers": {"X-Note\r\nBcc": "eve@example.org"}}, "invalid_header"),
        ({"headers": {"Bcc": "eve@example.org"}}, "invalid_header"),
        ({"headers": {"From": "eve@example.org"}}, "invalid_header"),
        ({"headers": {"Content-Type": "text/plain"}}, "invalid_header"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "invalid_header"),
        ({"headers": {"X-A": "x" * 1200}}, "invalid_header"),
        ({"headers": {"Reply-To": "Eve <eve@example.org"}}, "invalid_address"),
        ({"subject": "\ud800"}, "invalid_text"),
        ({"text": "\ud800"}, "invalid_text"),
        ({"text": "", "html": ""}, "no_content"),
        ({"title": "a push title"}, "unsupported_content"),
        ({"data": {"deep": "link"}}, "unsupported_content"),
        ({"text": "x" * 33_000_000}, "too_large"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_what_cannot_be_sent_is_refused_and_the_rest_of_the_batch_goes(
    sink: SmtpSink, relay: MakeRelay, changes: dict[str, Any], code: str
):
    outcomes = await relay().send([email(), email(**changes), email()])
    assert [outcome.kind for outcome in outcomes] == ["sent", "permanent", "sent"]
    assert outcomes[1].code == code
    assert "eve" not in outcomes[1].detail
    assert (await sink.report(by_recipient=True)).by_recipient == {"ada@example.org": 2}


@pytest.mark.parametrize(
    ("to", "recipient"),
    [
        ("ada@exämple.org", "ada@xn--exmple-cua.org"),
        ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
        ("o'brien+news@sub.example.org", "o'brien+news@sub.example.org"),
        ("root@localhost", "root@localhost"),
        ("ünï@example.org", "ünï@example.org"),
        ("ада@пример.рф", "ада@xn--e1afmkfd.xn--p1ai"),
    ],
)
async def test_international_addresses(sink: SmtpSink, relay: MakeRelay, to: str, recipient: str):
    outcome = await send_one(relay(), to=to)
    assert outcome.kind == "sent"
    arrived = (await sink.messages())[0]
    assert arrived.recipients == [recipient]
    assert f"To: <{recipient}>".encode() in arrived.content
