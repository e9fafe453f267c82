"""Vendors of text messages by their descriptions: Twilio's and Vonage's own, a third party's of Plivo, by Prism."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from clarion.adapters.providers.http.exchange import HttpRequest
from clarion.adapters.providers.registry import build_provider
from clarion.delivery.model import Message
from clarion.kernel.clock import StoreClock
from clarion.kernel.ids import make_ids
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import loopback_transport, outside
from clarion.testing.vendors import plivo, twilio, vonage
from tests.oracles.npm import prism

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

TENANT = b"t" * 16
RECEIPTS = "https://clarion.example/api/v1/receipts/texts?tenant=0"


@pytest.fixture(scope="module")
def twilio_url() -> Generator[str]:
    with prism("twilio_messages") as url:
        yield url


@pytest.fixture(scope="module")
def plivo_url() -> Generator[str]:
    with prism("plivo_messages") as url:
        yield url


@pytest.fixture(scope="module")
def vonage_url() -> Generator[str]:
    with prism("vonage_sms") as url:
        yield url


async def kinds_sent(account: ProviderConfig, texts: list[str]) -> list[tuple[str, str]]:
    """Kind and code of each text, to numbers of their own."""
    messages = [
        Message(make_ids(1, 1_800_000_000_000), TENANT, "sms", 1, to=f"+1555123{place:04}", body=text)
        for place, text in enumerate(texts)
    ]
    transport = loopback_transport()
    provider = build_provider(account, outside(StoreClock(), transport=transport))
    outcomes = await provider.send(messages)
    await provider.close()
    await transport.close()
    return [(outcome.kind, outcome.code) for outcome in outcomes]


async def status_of(url: str, body: bytes, content_type: str) -> int:
    """What a request gets."""
    transport = loopback_transport()
    headers = {"Content-Type": content_type, "Authorization": "Basic eDp5"}
    reply = await transport.exchange(HttpRequest("POST", url, headers, body), lambda: None, 20.0)
    await transport.close()
    return reply.status


async def test_our_requests_to_twilio_keep_to_its_description(twilio_url: str):
    settings = {
        "account_sid": twilio.ACCOUNT_SID,
        "from": "+15005550006",
        "receipts_url": RECEIPTS,
        "base_url": twilio_url,
    }
    account = ProviderConfig("texts", TENANT, "twilio", "sms", settings, {"auth_token": twilio.AUTH_TOKEN})
    assert await kinds_sent(account, ["Your code is 123456", "Grüße 👋"]) == [("sent", "")] * 2


async def test_prism_finds_what_twilio_does_not_take(twilio_url: str):
    url = f"{twilio_url}/2010-04-01/Accounts/{twilio.ACCOUNT_SID}/Messages.json"
    assert await status_of(url, b"Body=hi", "application/x-www-form-urlencoded") == 422


async def test_our_requests_to_plivo_keep_to_a_description_of_it(plivo_url: str):
    settings = {
        "auth_id": plivo.AUTH_ID,
        "from": "+15005550006",
        "receipts_url": RECEIPTS,
        "base_url": plivo_url,
    }
    account = ProviderConfig("texts", TENANT, "plivo", "sms", settings, {"auth_token": plivo.AUTH_TOKEN})
    assert await kinds_sent(account, ["Your code is 123456"]) == [("sent", "")]


async def test_prism_finds_what_plivo_does_not_take(plivo_url: str):
    url = f"{plivo_url}/v1/Account/{plivo.AUTH_ID}/Message/"
    assert await status_of(url, b'{"text": "hi"}', "application/json") == 422


async def test_our_requests_to_vonages_sms_api_keep_to_its_description(vonage_url: str):
    settings = {"api": "sms", "from": "Shop", "receipts_url": RECEIPTS, "base_url": vonage_url}
    credentials = {"api_key": vonage.API_KEY, "api_secret": vonage.API_SECRET}
    account = ProviderConfig("texts", TENANT, "vonage", "sms", settings, credentials)
    assert await kinds_sent(account, ["Your code is 123456", "Grüße 👋"]) == [("sent", "")] * 2


async def test_prism_finds_what_vonages_sms_api_does_not_take(vonage_url: str):
    form = b"api_key=abcd1234&from=Shop&text=x"
    assert await status_of(f"{vonage_url}/sms/json", form, "application/x-www-form-urlencoded") == 422
