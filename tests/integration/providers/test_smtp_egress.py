"""A tenant chooses its mail server, and none of ours with it: what was checked is what is connected to."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from clarion.adapters.egress import EgressGuard, read_networks
from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.unconnected import Unconnected
from clarion.adapters.providers.smtp import build_smtp
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig
from clarion.testing.clock import ManualClock
from clarion.testing.providers import ListSink
from clarion.testing.smtp import SmtpSink
from tests.integration.providers.support import TENANT

MESSAGE = Message(b"d" * 16, TENANT, "email", 1, to="ada@example.org", subject="Hi", text="Hello")
LOOPBACK = "127.0.0.0/8"


async def offered(sink: SmtpSink, guard: EgressGuard, **settings: object) -> Outcome:
    """What becomes of a message to the sink, where `guard` says who may be reached."""
    merged = sink.provider_settings("Shop <news@shop.example>") | settings
    config = ProviderConfig("relay", TENANT, "smtp", "email", merged, {})
    provider = build_smtp(config, Outside(ManualClock(), ListSink(), Unconnected(), guard.resolve))
    try:
        (outcome,) = await provider.send([MESSAGE])
    finally:
        await provider.close()
    return outcome


INSIDE = (
    "127.0.0.1",
    "localhost",
    "10.0.0.5",
    "169.254.169.254",
    "::1",
    "::ffff:127.0.0.1",
    "0.0.0.0",  # noqa: S104  asked for, not bound
)


@pytest.mark.parametrize("host", INSIDE)
async def test_a_host_inside_is_refused_before_anything_is_said(sink: SmtpSink, host: str):
    before = (await sink.report()).sessions
    outcome = await offered(sink, EgressGuard([]), host=host)
    assert (outcome.kind, outcome.code) == ("transient", "egress")
    assert (await sink.report()).sessions == before


async def test_a_network_that_the_operator_allows_is_reached(sink: SmtpSink):
    assert (await offered(sink, EgressGuard(read_networks(LOOPBACK)))).kind == "sent"


async def test_a_name_cannot_change_its_mind_between_the_check_and_the_connection(sink: SmtpSink):
    answers = iter([["127.0.0.1"], ["10.0.0.5"]])

    def look_up(host: str) -> Sequence[str]:
        assert host == "mail.example.org"
        return next(answers)

    guard = EgressGuard(read_networks(LOOPBACK), look_up)
    assert (await offered(sink, guard, host="mail.example.org")).kind == "sent"
    assert next(answers) == ["10.0.0.5"], "the name is looked up once"


async def test_a_name_with_one_address_inside_is_refused(sink: SmtpSink):
    guard = EgressGuard([], lambda _: ["93.184.215.14", "127.0.0.1"])
    assert (await offered(sink, guard, host="mail.example.org")).code == "egress"


async def test_an_unknown_name_is_no_address_inside(sink: SmtpSink):
    def look_up(host: str) -> Sequence[str]:
        raise OSError(host)

    assert (await offered(sink, EgressGuard([], look_up), host="mail.example.org")).code == "unknown_host"
