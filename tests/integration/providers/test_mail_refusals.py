"""What vendors of e-mail refuse, and how: a table a vendor, and the faults that they all have."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import AUTH_CODE, Outcome
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Invalid
from clarion.testing.outside import outside
from clarion.testing.vendors import DROP
from tests.integration.providers.mail import KINDS, config, kinds_of, letter, newsletter, open_vendor


def reply(status: int, body: object, **headers: str) -> HttpReply:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return HttpReply(status, headers, raw)


async def outcome_after(kind: str, answer: HttpReply) -> Outcome:
    async with open_vendor(kind) as vendor:
        vendor.server.script.append(answer)
        return (await vendor.send(letter()))[0]


def ses_error(name: str, message: str = "") -> HttpReply:
    status = 429 if name == "TooManyRequestsException" else 404 if name == "NotFoundException" else 400
    return reply(status, {"message": message}, **{"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/"})


def sendgrid_error(status: int, field: str | None = None) -> HttpReply:
    return reply(status, {"errors": [{"message": "no <ada@example.org>", "field": field, "help": None}]})


REFUSALS: list[tuple[str, HttpReply, str, str]] = [
    ("sendgrid", sendgrid_error(400, "personalizations.0.to.0.email"), "permanent", "rcpt_invalid"),
    ("sendgrid", sendgrid_error(400, "personalizations[0].headers"), "permanent", "sendgrid_400"),
    ("sendgrid", sendgrid_error(400, "content"), "permanent", "sendgrid_400"),
    ("sendgrid", reply(400, b"<html>no</html>"), "permanent", "sendgrid_400"),
    ("sendgrid", sendgrid_error(401), "transient", AUTH_CODE),
    ("sendgrid", sendgrid_error(403, "from.email"), "transient", AUTH_CODE),
    ("sendgrid", sendgrid_error(413), "permanent", "too_large"),
    ("sendgrid", reply(429, {}, **{"Retry-After": "7"}), "throttled", "http_429"),
    ("sendgrid", reply(200, b"<html>welcome to this hotel</html>"), "ambiguous", "unreadable_reply"),
    ("sendgrid", reply(302, b"", Location="https://elsewhere.example"), "transient", "redirect"),
    (
        "ses",
        ses_error("TooManyRequestsException", "Maximum sending rate exceeded."),
        "throttled",
        "ses_throttled",
    ),
    (
        "ses",
        ses_error("TooManyRequestsException", "Daily message quota exceeded"),
        "throttled",
        "ses_daily_quota",
    ),
    ("ses", ses_error("LimitExceededException"), "throttled", "ses_limit"),
    ("ses", ses_error("SendingPausedException"), "transient", AUTH_CODE),
    ("ses", ses_error("AccountSuspendedException"), "transient", AUTH_CODE),
    ("ses", ses_error("MailFromDomainNotVerifiedException"), "transient", AUTH_CODE),
    ("ses", ses_error("NotFoundException"), "transient", AUTH_CODE),
    ("ses", ses_error("MessageRejected", "<ada@example.org>"), "permanent", "ses_message_rejected"),
    ("ses", ses_error("BadRequestException"), "permanent", "ses_bad_request"),
    ("ses", reply(403, {"message": "The security token is expired"}), "transient", AUTH_CODE),
    ("ses", reply(200, b"<html>welcome to this hotel</html>"), "ambiguous", "unreadable_reply"),
    ("ses", reply(500, b""), "transient", "http_500"),
    (
        "mailgun",
        reply(400, {"message": "to parameter is not a valid address."}),
        "permanent",
        "rcpt_invalid",
    ),
    ("mailgun", reply(400, {"message": "from parameter is missing"}), "permanent", "mailgun_400"),
    ("mailgun", reply(401, b"Forbidden"), "transient", AUTH_CODE),
    ("mailgun", reply(404, {"message": "Domain not found: x"}), "transient", AUTH_CODE),
    ("mailgun", reply(413, b"<html>too large</html>"), "permanent", "too_large"),
    (
        "mailgun",
        reply(429, {"message": "limit exceeded, try again after 120 seconds"}),
        "throttled",
        "http_429",
    ),
    ("mailgun", reply(500, {"message": "Internal Server Error"}), "ambiguous", "http_500"),
    ("mailgun", reply(503, b""), "transient", "http_503"),
    ("mailgun", reply(200, b"Mailgun Magnificent API"), "ambiguous", "unreadable_reply"),
    ("mailgun", reply(200, {"id": "<x>", "message": "Sorry."}), "ambiguous", "unreadable_reply"),
]


@pytest.mark.parametrize(
    ("kind", "answer", "expected", "code"), REFUSALS, ids=[f"{r[0]}-{i}" for i, r in enumerate(REFUSALS)]
)
async def test_a_refusal_means_what_the_vendor_says(kind: str, answer: HttpReply, expected: str, code: str):
    outcome = await outcome_after(kind, answer)
    assert (outcome.kind, outcome.code) == (expected, code)
    assert "example.org" not in outcome.detail


@pytest.mark.parametrize(("kind", "status", "expected"), [
    ("ses", "ACCOUNT_THROTTLED", "throttled"),
    ("ses", "ACCOUNT_DAILY_QUOTA_EXCEEDED", "throttled"),
    ("ses", "TRANSIENT_FAILURE", "transient"),
    ("ses", "ACCOUNT_SUSPENDED", "transient"),
    ("ses", "MESSAGE_REJECTED", "permanent"),
    ("ses", "FAILED", "permanent"),
    ("ses", "SOMETHING_NEW", "permanent"),
])  # fmt: skip
async def test_each_entry_of_a_bulk_call_has_its_own_status(kind: str, status: str, expected: str):
    async with open_vendor(kind) as vendor:
        results = [{"Status": "SUCCESS", "MessageId": "m1"}, {"Status": status, "Error": "<ada@example.org>"}]
        vendor.server.script.append(reply(200, {"BulkEmailEntryResults": results}))
        outcomes = await vendor.send(newsletter("Ada"), newsletter("Bob"))
    assert kinds_of(outcomes) == ["sent", expected]
    assert "example.org" not in outcomes[1].detail


async def test_answers_for_another_number_of_entries_are_no_answers():
    async with open_vendor("ses") as vendor:
        vendor.server.script.append(reply(200, {"BulkEmailEntryResults": [{"Status": "SUCCESS"}]}))
        outcomes = await vendor.send(newsletter("Ada"), newsletter("Bob"))
    assert kinds_of(outcomes) == ["ambiguous"] * 2


async def test_throttling_waits_for_as_long_as_the_vendor_says():
    throttled = await outcome_after(
        "mailgun", reply(429, {"message": "limit exceeded, try again after 120 seconds"})
    )
    assert throttled.retry_after_s == pytest.approx(120)
    daily = await outcome_after("ses", ses_error("TooManyRequestsException", "Daily message quota exceeded"))
    assert daily.retry_after_s == pytest.approx(3600)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_that_was_dropped_after_it_left_is_ambiguous(kind: str):
    async with open_vendor(kind) as vendor:
        vendor.server.script.append(DROP)
        outcomes = await vendor.send(newsletter("Ada"))
    assert kinds_of(outcomes) == ["ambiguous"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("changes", "code"), [
    ({"to": "ada@example.org\r\nBcc: eve@example.org"}, "invalid_header"),
    ({"to": "ada"}, "invalid_address"),
    ({"to": "ädä@example.org"}, "smtputf8_unsupported"),
    ({"subject": "Hi\r\nBcc: eve@example.org"}, "invalid_header"),
    ({"subject": " "}, "no_subject"),
    ({"headers": {"Bcc": "eve@example.org"}}, "invalid_header"),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "invalid_header"),
    ({"text": "", "html": ""}, "no_content"),
    ({"text": "a\0b"}, "invalid_text"),
    ({"html": "\ud800"}, "invalid_text"),
    ({"data": {"attachment": "x" * 10_000_000}}, "unsupported_content"),
])  # fmt: skip
async def test_what_cannot_be_carried_is_refused_before_anything_leaves(
    kind: str, changes: dict[str, Any], code: str
):
    async with open_vendor(kind) as vendor:
        outcomes = await vendor.send(letter(**changes), letter())
        assert [(outcome.kind, outcome.code) for outcome in outcomes] == [("permanent", code), ("sent", "")]
        assert len(vendor.double.arrived) == 1


@pytest.mark.parametrize(
    ("kind", "size"), [("sendgrid", 30_000_000), ("mailgun", 25_000_000), ("ses", 40_000_000)]
)
async def test_a_message_larger_than_the_vendor_takes_is_refused_with_its_size(kind: str, size: int):
    async with open_vendor(kind) as vendor:
        outcome = (await vendor.send(letter(html="x" * size)))[0]
        assert (outcome.kind, outcome.code) == ("permanent", "too_large")
        assert str(size) in outcome.detail
        assert not vendor.server.requests


@pytest.mark.parametrize("kind", KINDS)
async def test_addresses_in_other_alphabets_are_encoded(kind: str):
    async with open_vendor(kind) as vendor:
        assert kinds_of(await vendor.send(letter(to="ada@bücher.example"))) == ["sent"]
        assert vendor.double.arrived[0]["to"] == "ada@xn--bcher-kva.example"


@pytest.mark.parametrize("kind", KINDS)
async def test_wrong_credentials_keep_the_messages(kind: str):
    wrong = {
        "sendgrid": {"api_key": "SG.bad"},
        "ses": None,
        "mailgun": {"api_key": "bad-key"},
    }[kind]
    async with open_vendor(kind, wrong) as vendor:
        if kind == "ses":
            vendor.server.script.append(ses_error("SignatureDoesNotMatch"))
        outcome = (await vendor.send(newsletter("Ada")))[0]
    assert (outcome.kind, outcome.code) == ("transient", AUTH_CODE)


@pytest.mark.parametrize(("kind", "changes", "path"), [
    ("sendgrid", {"from": "nobody"}, "settings.from"),
    ("sendgrid", {"from": ""}, "settings.from"),
    ("sendgrid", {"reply_to": "a@b@c"}, "settings.reply_to"),
    ("sendgrid", {"region": "mars"}, "settings.region"),
    ("sendgrid", {"base_url": "http://example.org"}, "settings.base_url"),
    ("sendgrid", {"base_url": "https://a:b@example.org"}, "settings.base_url"),
    ("sendgrid", {"webhook_key": "bm9uZQ=="}, "settings.webhook_key"),
    ("sendgrid", {"fro": 1}, "settings.fro"),
    ("ses", {"region": "nowhere"}, "settings.region"),
    ("ses", {"topic_arn": "arn:aws:sqs:eu-west-1:123456789012:x"}, "settings.topic_arn"),
    ("mailgun", {"domain": "a/b"}, "settings.domain"),
])  # fmt: skip
def test_a_wrong_setting_is_named(kind: str, changes: dict[str, Any], path: str):
    with pytest.raises(Invalid) as raised:
        build_provider(config(kind, "", **changes), outside(StoreClock()))
    assert raised.value.path == path


@pytest.mark.parametrize("kind", KINDS)
def test_missing_credentials_are_named(kind: str):
    with pytest.raises(Invalid) as raised:
        build_provider(config(kind, "", {}), outside(StoreClock()))
    assert raised.value.path.startswith("credentials.")


@pytest.mark.parametrize("kind", KINDS)
def test_an_account_for_another_channel_is_refused(kind: str):
    with pytest.raises(Invalid) as raised:
        build_provider(msgspec.structs.replace(config(kind), channel="sms"), outside(StoreClock()))
    assert raised.value.path == "channel"
