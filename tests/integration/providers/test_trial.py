"""One message through one account, step by step: each thing that can be wrong is named where it is wrong."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme

from clarion.adapters.egress import EgressGuard
from clarion.adapters.providers.http.transport import Transport
from clarion.delivery.model import AUTH_CODE
from clarion.entrypoints.cli.provider_trial import Addressee, Step, Surroundings, Trial, try_account
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig
from clarion.testing.smtp import SinkOptions, SmtpSink
from clarion.testing.vendors import TwilioDouble, serve, twilio

TENANT = b"t" * 16
NUMBER = "+15551230001"
LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]


@asynccontextmanager
async def surroundings() -> AsyncGenerator[Surroundings]:
    guard = EgressGuard(LOOPBACK)
    transport = Transport(guard.resolve)
    yield Surroundings(StoreClock(), transport, guard.resolve)
    await transport.close()


async def tried(config: ProviderConfig, to: str = NUMBER) -> Trial:
    told: list[Step] = []
    async with surroundings() as around:
        trial = await try_account(config, Addressee(to), around, told.append)
    assert told == trial.steps
    return trial


def texts(url: str, token: str = twilio.AUTH_TOKEN, **settings: Any) -> ProviderConfig:
    usual = {"account_sid": twilio.ACCOUNT_SID, "from": "+15005550006", "base_url": url}
    return ProviderConfig("texts", TENANT, "twilio", "sms", usual | settings, {"auth_token": token})


def seen(trial: Trial) -> list[tuple[str, bool | None]]:
    return [(step.step, step.ok) for step in trial.steps]


async def test_an_account_that_works_says_so_at_every_step():
    async with serve(TwilioDouble()) as vendor:
        trial = await tried(texts(vendor.url))
    assert trial.is_sent
    assert seen(trial) == [
        ("settings", True),
        ("address", True),
        ("connection", True),
        ("request", True),
        ("credentials", True),
        ("verdict", True),
    ]
    assert trial.steps[3].took_ms > 0
    assert not any(NUMBER in step.seen or twilio.AUTH_TOKEN in step.seen for step in trial.steps)


async def test_a_wrong_setting_ends_it():
    trial = await tried(texts("https://api.twilio.com", account_sid="AC1"))
    assert seen(trial) == [("settings", False)]
    assert trial.steps[0].seen.startswith("settings.account_sid: ")
    assert not trial.is_sent


async def test_wrong_credentials_are_named_with_what_to_do():
    async with serve(TwilioDouble()) as vendor:
        trial = await tried(texts(vendor.url, token="1" * 32))
    assert trial.outcome is not None
    assert trial.outcome.code == AUTH_CODE
    credentials = next(step for step in trial.steps if step.step == "credentials")
    assert (credentials.ok, credentials.advice) == (False, "PUT /api/v1/providers/texts with what is right")


async def test_a_message_that_the_vendor_refuses_says_why():
    async with serve(TwilioDouble()) as vendor:
        trial = await tried(texts(vendor.url), "+15005550009")
    assert not trial.is_sent
    assert "rcpt_21614" in trial.steps[-1].seen


async def test_a_port_where_nobody_listens_is_told_as_that(unused_tcp_port: int):
    trial = await tried(texts(f"http://127.0.0.1:{unused_tcp_port}"))
    assert seen(trial)[:4] == [
        ("settings", True),
        ("address", True),
        ("connection", False),
        ("request", False),
    ]


async def test_an_address_that_may_not_be_reached_is_told_as_that():
    trial = await tried(texts("https://10.1.2.3"))
    assert seen(trial)[1] == ("address", False)
    assert "not a public one" in trial.steps[1].seen


async def test_a_certificate_that_nobody_vouches_for_is_told_as_that():
    tls = _server_context()
    async with serve(TwilioDouble(), tls) as vendor:
        trial = await tried(texts(vendor.url))
    encryption = next(step for step in trial.steps if step.step == "encryption")
    assert encryption.ok is False
    assert "certificate" in encryption.seen
    assert not trial.is_sent


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_a_mail_server_is_tried_in_the_same_way():
    with SmtpSink.start(SinkOptions(keep=10)) as sink:
        settings = sink.provider_settings("Shop <news@shop.example>")
        trial = await tried(ProviderConfig("relay", TENANT, "smtp", "email", settings, {}), "ada@example.org")
    assert trial.is_sent
    assert [step for step, _ in seen(trial)] == [
        "settings",
        "address",
        "connection",
        "credentials",
        "verdict",
    ]


@pytest.mark.parametrize(("channel", "to"), [("email", "a@example.org"), ("sms", NUMBER), ("push", "token")])
async def test_each_channel_has_a_message(channel: str, to: str):
    trial = await tried(ProviderConfig("box", TENANT, "sandbox", channel, {}, {}), to)
    assert trial.is_sent
