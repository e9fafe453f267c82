"""What the vendors of text messages refuse, misunderstand and break, and what becomes of the messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.registry import build_provider
from clarion.adapters.providers.vonage.messages_api import RENEW_BEFORE_S, TOKEN_LIFE_S, Token
from clarion.delivery.model import AUTH_CODE, Message, Outcome
from clarion.delivery.ports import Provider
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Invalid
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.providers import ListSink
from clarion.testing.vendors import (
    DROP,
    HANG,
    PlivoDouble,
    TwilioDouble,
    VendorDouble,
    VendorServer,
    VonageMessagesDouble,
    VonageSmsDouble,
    plivo,
    serve,
    twilio,
    vonage,
)
from clarion.testing.vendors.double import json_reply
from clarion.testing.vendors.vonage import sms_reply

TENANT = b"t" * 16
RECEIPTS = "https://clarion.example/api/v1/receipts/texts?tenant=0"
HTML = HttpReply(200, {"content-type": "text/html"}, b"<html>Welcome to the captive portal</html>")

TWILIO = (
    {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006"},
    {"auth_token": twilio.AUTH_TOKEN},
)
VONAGE = ({"from": "Shop"}, {"api_key": vonage.API_KEY, "api_secret": vonage.API_SECRET})
PLIVO = ({"auth_id": plivo.AUTH_ID, "from": "+15005550006"}, {"auth_token": plivo.AUTH_TOKEN})
DOUBLES: dict[str, type[VendorDouble]] = {
    "twilio": TwilioDouble,
    "vonage": VonageMessagesDouble,
    "vonage-sms": VonageSmsDouble,
    "plivo": PlivoDouble,
}
ACCOUNTS = {
    "twilio": TWILIO,
    "vonage": VONAGE,
    "vonage-sms": ({**VONAGE[0], "api": "sms"}, VONAGE[1]),
    "plivo": PLIVO,
}


def text(body: str = "Your code is 123456", to: str = "+15551230001") -> Message:
    return Message(make_ids(1, 1_800_000_000_000), TENANT, "sms", 1, to=to, body=body)


class Line:
    """An account on its double."""

    def __init__(self, provider: Provider, vendor: VendorServer) -> None:
        self.provider = provider
        self.vendor = vendor

    @property
    def arrived(self) -> list[dict[str, Any]]:
        double = self.vendor.double
        assert isinstance(double, VendorDouble)
        return [dict(one) for one in double.arrived]

    async def send(self, *messages: Message) -> list[Outcome]:
        return await self.provider.send(messages)

    async def outcome(self, *replies: Any) -> Outcome:
        """What becomes of a message whose call gets `replies`."""
        self.vendor.script.extend(replies)
        return (await self.send(text()))[0]


@asynccontextmanager
async def line(
    kind: str, credentials: dict[str, str] | None = None, sink: ListSink | None = None, **settings: Any
) -> AsyncGenerator[Line]:
    transport = loopback_transport()
    usual, secrets = ACCOUNTS[kind]
    async with serve(DOUBLES[kind]()) as vendor:
        config = ProviderConfig(
            "texts",
            TENANT,
            kind.partition("-")[0],
            "sms",
            {**usual, "base_url": vendor.url, **settings},
            secrets if credentials is None else credentials,
        )
        provider = build_provider(config, outside(StoreClock(), sink, transport))
        yield Line(provider, vendor)
        await provider.close()
        await transport.close()


@pytest.mark.parametrize("kind", list(DOUBLES))
async def test_an_emoji_alone_is_a_text(kind: str):
    async with line(kind) as there:
        outcomes = await there.send(text("🎉"))
        assert [outcome.kind for outcome in outcomes] == ["sent"]
        assert "🎉" in (there.arrived[0].get("Body"), there.arrived[0].get("text"))


@pytest.mark.parametrize("kind", list(DOUBLES))
async def test_a_text_that_is_too_long_is_refused_with_its_size_and_the_limit(kind: str):
    async with line(kind) as there:
        (outcome,) = await there.send(text("ж" * 4000))
        assert (outcome.kind, outcome.code) == ("permanent", "too_large")
        assert "4000 units, 60 segments" in outcome.detail
        assert "shorten it to" in outcome.detail
        assert not there.vendor.requests


@pytest.mark.parametrize("kind", list(DOUBLES))
@pytest.mark.parametrize(
    "number", ["5551230001", "+0123456789", "+1555<+1556", "alice", "+1555123000100000000"]
)
async def test_what_is_no_number_is_refused_before_any_call(kind: str, number: str):
    async with line(kind) as there:
        (outcome,) = await there.send(text(to=number))
        assert (outcome.kind, outcome.code) == ("permanent", "invalid_address")
        assert not there.vendor.requests


@pytest.mark.parametrize("kind", list(DOUBLES))
async def test_a_blank_text_is_refused(kind: str):
    async with line(kind) as there:
        assert [outcome.code for outcome in await there.send(text(" \n"))] == ["no_content"]


@pytest.mark.parametrize("kind", list(DOUBLES))
async def test_wrong_credentials_keep_the_message(kind: str):
    wrong = {name: value[::-1].swapcase() + "x" for name, value in ACCOUNTS[kind][1].items()}
    async with line(kind, wrong) as there:
        (outcome,) = await there.send(text())
        assert (outcome.kind, outcome.code) == ("transient", AUTH_CODE)


@pytest.mark.parametrize("kind", list(DOUBLES))
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (HttpReply(429, {"retry-after": "7"}, b"slow down"), ("throttled", 7.0)),
        (HttpReply(503, {}, b"<html>Bad gateway"), ("transient", 0.0)),
        (HttpReply(504, {}, b""), ("ambiguous", 0.0)),
        (HttpReply(302, {"location": "https://elsewhere.example/"}, b""), ("transient", 0.0)),
        (HttpReply(418, {}, b""), ("permanent", 0.0)),
        (HTML, ("ambiguous", 0.0)),
        (HttpReply(200, {}, b""), ("ambiguous", 0.0)),
        (json_reply(200, {}), ("ambiguous", 0.0)),
        (json_reply(200, [1, 2]), ("ambiguous", 0.0)),
        (DROP, ("ambiguous", 0.0)),
    ],
    ids=["429", "503", "504", "redirect", "4xx", "html", "empty", "no-id", "array", "dropped"],
)
async def test_a_status_or_a_reply_that_cannot_be_read_decides(
    kind: str, reply: Any, expected: tuple[str, float]
):
    async with line(kind) as there:
        outcome = await there.outcome(reply)
        assert (outcome.kind, outcome.retry_after_s) == expected


@pytest.mark.parametrize("kind", list(DOUBLES))
async def test_a_vendor_that_takes_and_says_nothing_leaves_the_message_ambiguous(kind: str):
    async with line(kind, timeout_s=0.2) as there:
        outcome = await there.outcome(HANG)
        assert outcome.kind == "ambiguous"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (21211, ("permanent", "rcpt_21211")),
        (21610, ("permanent", "rcpt_21610")),
        (21614, ("permanent", "rcpt_21614")),
        (21612, ("permanent", "rcpt_21612")),
        (20003, ("transient", AUTH_CODE)),
        (21606, ("transient", AUTH_CODE)),
        (20429, ("throttled", "twilio_20429")),
        (99999, ("permanent", "http_400")),
    ],
)
async def test_twilios_codes_go_before_their_status(code: int, expected: tuple[str, str]):
    async with line("twilio") as there:
        quoting = {"code": code, "message": "The 'To' number +15551230001 is …", "status": 400}
        outcome = await there.outcome(json_reply(400, quoting))
        assert (outcome.kind, outcome.code) == expected
        assert "+1555" not in outcome.detail


async def test_an_error_inside_of_a_success_of_twilio_counts():
    async with line("twilio") as there:
        reply = json_reply(201, {"sid": "SM1", "status": "failed", "error_code": 30005})
        assert (await there.outcome(reply)).code == "rcpt_30005"


async def test_twilio_is_told_where_receipts_go_and_about_which_delivery():
    async with line("twilio", receipts_url=RECEIPTS, validity_s=60) as there:
        message = text()
        await there.send(message)
        form = parse_qs(there.vendor.requests[0].body.decode())
        assert form["StatusCallback"] == [f"{RECEIPTS}&delivery={message.delivery_id.hex()}"]
        assert form["ValidityPeriod"] == ["60"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("1", ("throttled", "vonage_1")),
        ("5", ("transient", "vonage_5")),
        ("6", ("permanent", "rcpt_6")),
        ("7", ("permanent", "rcpt_7")),
        ("9", ("transient", AUTH_CODE)),
        ("12", ("permanent", "too_large")),
        ("15", ("permanent", "vonage_15")),
        ("99", ("permanent", "vonage_refused")),
    ],
)
async def test_vonages_sms_api_says_200_and_means_something_else(status: str, expected: tuple[str, str]):
    async with line("vonage-sms") as there:
        outcome = await there.outcome(sms_reply({"status": status, "error-text": "about +15551230001"}))
        assert (outcome.kind, outcome.code) == expected


async def test_a_text_of_which_vonage_took_a_part_is_ambiguous():
    async with line("vonage-sms") as there:
        taken = {"status": "0", "message-id": "A", "message-price": "0.03"}
        assert (await there.outcome(sms_reply(taken, {"status": "1"}))).kind == "ambiguous"


async def test_vonage_says_what_all_parts_cost():
    async with line("vonage-sms") as there:
        (outcome,) = await there.send(text("x" * 161))
        assert outcome.cost_micros == 2 * 33_300


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("messages#1050", ("permanent", "rcpt_1050")),
        ("messages#1070", ("transient", AUTH_CODE)),
        ("messages#1000", ("throttled", "vonage_1000")),
        ("unauthorized", ("permanent", "http_422")),
    ],
)
async def test_vonages_problems_go_before_their_status(kind: str, expected: tuple[str, str]):
    async with line("vonage") as there:
        problem = {"type": f"https://developer.vonage.com/api-errors/{kind}", "detail": "about +15551230001"}
        outcome = await there.outcome(json_reply(422, problem))
        assert (outcome.kind, outcome.code) == expected


def test_an_applications_token_is_renewed_before_it_ends():
    key = RSAKey.generate_key(2048)
    token = Token("app", key)
    first = token.header(1_800_000_000)
    assert token.header(1_800_000_000 + TOKEN_LIFE_S - RENEW_BEFORE_S) == first
    renewed = token.header(1_800_000_001 + TOKEN_LIFE_S - RENEW_BEFORE_S)
    claims = jwt.decode(renewed.removeprefix("Bearer "), key, algorithms=["RS256"]).claims
    assert renewed != first
    assert claims["exp"] - claims["iat"] == TOKEN_LIFE_S


class TestPlivosBatches:
    async def test_texts_that_are_equal_share_a_call(self):
        async with line("plivo") as there:
            same = [text("Sale!", f"+1555123{index:04}") for index in range(1000)]
            assert {outcome.kind for outcome in await there.send(*same)} == {"sent"}
            assert len(there.vendor.requests) == 1

    async def test_other_texts_have_calls_of_their_own(self):
        async with line("plivo") as there:
            outcomes = await there.send(text("a"), text("b"), text("a", "+15551230002"))
            assert {outcome.kind for outcome in outcomes} == {"sent"}
            assert sorted(call["dst"] for call in map(_json, there.vendor.requests)) == [
                "+15551230001",
                "+15551230001<+15551230002",
            ]

    async def test_a_number_is_named_once_in_a_call(self):
        async with line("plivo") as there:
            outcomes = await there.send(text(), text())
            assert [outcome.kind for outcome in outcomes] == ["sent", "sent"]
            assert len(there.vendor.requests) == 2

    async def test_an_invalid_number_leaves_its_neighbours_their_ids(self):
        async with line("plivo") as there:
            outcomes = await there.send(
                *(text(to=number) for number in ("+15551230001", "+19991230001", "+15551230003"))
            )
            assert [outcome.kind for outcome in outcomes] == ["sent", "permanent", "sent"]
            assert outcomes[1].code == "rcpt_invalid_number"
            assert outcomes[0].provider_message_id[-1] == "1"
            assert outcomes[2].provider_message_id[-1] == "2"

    async def test_a_call_that_is_refused_as_a_whole_is_halved_until_one_stands_alone(self):
        async with line("plivo") as there:
            numbers = [f"+1555123{index:04}" for index in range(16)]
            outcomes = await there.send(*(text(to=number) for number in [*numbers, plivo.POISON]))
            assert [outcome.kind for outcome in outcomes] == ["sent"] * 16 + ["permanent"]
            assert len(there.arrived) == 16

    async def test_ids_that_cannot_be_told_apart_leave_all_ambiguous(self):
        async with line("plivo") as there:
            there.vendor.script.append(json_reply(202, {"message_uuid": ["only-one"]}))
            outcomes = await there.send(text(), text(to="+15551230002"))
            assert [outcome.kind for outcome in outcomes] == ["ambiguous", "ambiguous"]

    async def test_the_senders_own_number_is_refused(self):
        async with line("plivo") as there:
            assert [outcome.code for outcome in await there.send(text(to="+15005550006"))] == [
                "invalid_address"
            ]


def _json(request: Any) -> dict[str, Any]:
    return msgspec.json.decode(request.body)


@pytest.mark.parametrize(
    ("kind", "settings", "credentials", "path"),
    [
        ("twilio", {"account_sid": "AC1"}, {}, "settings.account_sid"),
        ("twilio", {"from": None}, {}, "settings.from"),
        ("twilio", {}, {"auth_token": "a b"}, "credentials.auth_token"),
        ("twilio", {}, {"api_key_sid": "SK1"}, "credentials.api_key_secret"),
        ("twilio", {"base_url": "http://api.twilio.example"}, {}, "settings.base_url"),
        ("twilio", {"speed": 1}, {}, "settings.speed"),
        ("vonage", {"from": "much too long a name"}, {}, "settings.from"),
        ("vonage", {"application_id": "a" * 36}, {}, "credentials.private_key"),
        ("vonage", {"application_id": "a" * 36}, {"private_key": "no key"}, "credentials.private_key"),
        ("vonage", {}, {"private_key": "x"}, "settings.application_id"),
        ("vonage", {"api": "sms"}, {"api_secret": None}, "credentials.api_secret"),
        ("plivo", {"powerpack_uuid": "a" * 36}, {}, "settings.from"),
        ("plivo", {"auth_id": "XX"}, {}, "settings.auth_id"),
    ],
)
def test_a_wrong_setting_is_named(
    kind: str, settings: dict[str, Any], credentials: dict[str, Any], path: str
):
    usual, secrets = ACCOUNTS[kind]
    config = ProviderConfig(
        "texts",
        TENANT,
        kind,
        "sms",
        {name: value for name, value in {**usual, **settings}.items() if value is not None},
        {name: value for name, value in {**secrets, **credentials}.items() if value is not None},
    )
    with pytest.raises(Invalid) as caught:
        build_provider(config, outside(StoreClock()))
    assert caught.value.path == path


@pytest.mark.parametrize("kind", ["twilio", "vonage", "plivo"])
def test_an_account_for_texts_carries_texts_only(kind: str):
    settings, credentials = ACCOUNTS[kind]
    with pytest.raises(Invalid, match="carries sms"):
        build_provider(
            ProviderConfig("x", TENANT, kind, "email", settings, credentials), outside(StoreClock())
        )


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("twilio", json_reply(400, {"code": 21610, "status": 400})),
        ("vonage", json_reply(422, {"type": "https://developer.vonage.com/api-errors/messages#1240"})),
        ("vonage-sms", sms_reply({"status": "7"})),
    ],
)
async def test_a_number_whose_owner_has_opted_out_is_reported_so(kind: str, reply: HttpReply):
    sink = ListSink()
    async with line(kind, sink=sink) as there:
        there.vendor.script.append(reply)
        stopped, other = text(), text(to="+15551230002")
        outcomes = await there.send(stopped) + await there.send(other)
        assert [outcome.kind for outcome in outcomes] == ["permanent", "sent"]
        assert [(one.kind, one.delivery_id) for one in sink.receipts] == [
            ("unsubscribed", stopped.delivery_id)
        ]


async def test_an_opt_out_that_cannot_be_kept_costs_no_outcome():
    sink = ListSink()
    sink.is_away = True
    async with line("twilio", sink=sink) as there:
        outcome = await there.outcome(json_reply(400, {"code": 21610, "status": 400}))
        assert (outcome.kind, outcome.code) == ("permanent", "rcpt_21610")
