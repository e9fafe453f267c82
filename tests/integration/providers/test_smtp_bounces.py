"""What an SMTP account does for bounces: where they go, and those that come in the dialogue."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clarion.adapters.providers.smtp import build_smtp
from clarion.adapters.providers.smtp.verp import returned_to
from clarion.kernel.clock import StoreClock
from clarion.tenancy.config import ProviderConfig
from clarion.testing.outside import outside
from clarion.testing.providers import ListSink
from clarion.testing.smtp import Fault, SmtpSink
from tests.integration.providers.support import email


def account(sink: SmtpSink, **settings: str) -> ProviderConfig:
    chosen = sink.provider_settings("Shop <shop@example.org>") | settings
    return ProviderConfig("relay", bytes(16), "smtp", "email", chosen, {})


async def test_bounces_go_to_an_address_that_names_the_delivery(sink: SmtpSink):
    provider = build_smtp(account(sink, bounce_address="bounces@example.org"), outside(StoreClock()))
    letters = [email() for _ in range(3)]
    assert [outcome.kind for outcome in await provider.send(letters)] == ["sent"] * 3
    arrived = {message.mail_from for message in await sink.messages()}
    assert {returned_to(sender) for sender in arrived} == {letter.delivery_id for letter in letters}
    await provider.close()


async def test_without_such_an_address_they_go_to_the_sender(sink: SmtpSink):
    provider = build_smtp(account(sink), outside(StoreClock()))
    await provider.send([email()])
    assert [message.mail_from for message in await sink.messages()] == ["shop@example.org"]
    await provider.close()


@pytest.mark.parametrize(
    ("reply", "is_bounce"),
    [
        ("550 5.1.1 User unknown", True),
        ("553 5.1.3 Bad address", True),
        ("550 5.7.1 We do not like you", False),
        ("552 5.2.2 Mailbox full", False),
        ("550 no code, no certainty", False),
        ("450 4.1.1 later perhaps", False),
    ],
)
async def test_an_address_that_is_refused_as_dead_has_bounced(sink: SmtpSink, reply: str, *, is_bounce: bool):
    told = ListSink()
    provider = build_smtp(account(sink), outside(StoreClock(), told))
    good, bad = email(), replace(email(), to="nobody@example.org")
    await sink.script(Fault("rcpt", "reply", reply, recipient="nobody@*"))
    await provider.send([good, bad])
    said = [(receipt.kind, receipt.delivery_id) for batch in told.batches for receipt in batch]
    assert said == ([("bounced", bad.delivery_id)] if is_bounce else [])
    await provider.close()


async def test_a_sink_that_is_away_costs_no_outcome(sink: SmtpSink):
    told = ListSink()
    told.is_away = True
    provider = build_smtp(account(sink), outside(StoreClock(), told))
    await sink.script(Fault("rcpt", "reply", "550 5.1.1 User unknown"))
    (outcome,) = await provider.send([email()])
    assert (outcome.kind, outcome.code) == ("permanent", "rcpt_550")
    await provider.close()
