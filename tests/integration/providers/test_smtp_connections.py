"""Connections: kept, bounded, given up when they are old, idle or dead; and a server that wants fewer is heard."""

from __future__ import annotations

import asyncio
import time

import pytest

from clarion.adapters.providers.smtp.pool import PoolLimits
from clarion.adapters.providers.smtp.sink_model import TlsMode
from clarion.testing.clock import ManualClock
from clarion.testing.smtp import Fault, SinkOptions, SinkReport, SmtpSink
from tests.integration.providers.support import MakeRelay, email, send_one


async def until_closed(sink: SmtpSink) -> SinkReport:
    """The report of a sink once no connection is open. Fails after five seconds."""
    deadline = time.monotonic() + 5
    while (report := await sink.report()).connections:
        assert time.monotonic() < deadline, report
    return report


async def test_connections_are_kept_and_no_more_of_them_than_allowed(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=3)
    before = (await sink.report()).sessions
    for _ in range(5):
        await provider.send([email() for _ in range(15)])
    report = await sink.report()
    assert (report.received, report.duplicates) == (75, 0)
    assert report.sessions - before == provider.connections == 3
    await provider.close()
    assert (await until_closed(sink)).connections == provider.connections == 0


async def test_batches_that_run_together_share_the_connections(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=2)
    before = (await sink.report()).sessions
    batches = [[email() for _ in range(10)] for _ in range(6)]
    results = await asyncio.gather(*(provider.send(batch) for batch in batches))
    assert {outcome.kind for outcomes in results for outcome in outcomes} == {"sent"}
    report = await sink.report()
    assert (report.distinct, report.sessions - before) == (60, 2)


async def test_a_connection_is_changed_after_so_many_messages(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=1, limits=PoolLimits(1, uses=2))
    before = (await sink.report()).sessions
    await provider.send([email() for _ in range(5)])
    report = await sink.report()
    assert (report.received, report.sessions - before) == (5, 3)


async def test_an_idle_connection_is_closed(sink: SmtpSink, relay: MakeRelay):
    provider = relay(limits=PoolLimits(4, idle_s=0.05))
    await provider.send([email() for _ in range(8)])
    report = await until_closed(sink)
    assert report.received == 8
    assert (await send_one(provider)).kind == "sent"


async def test_a_kept_connection_that_died_meanwhile_costs_no_message(sink: SmtpSink, relay: MakeRelay):
    """Servers hang up on idle clients; that shows only when the next command is sent, with nothing at stake yet."""
    provider = relay(concurrency=1)
    assert (await send_one(provider)).kind == "sent"
    await sink.script(Fault("mail", "close", times=1))
    assert (await send_one(provider)).kind == "sent"
    assert (await sink.report()).duplicates == 0


async def test_a_server_that_always_hangs_up_is_not_tried_for_ever(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=1)
    assert (await send_one(provider)).kind == "sent"
    before = (await sink.report()).sessions
    await sink.script(Fault("mail", "close"))
    assert (await send_one(provider)).code == "disconnected"
    assert (await sink.report()).sessions - before == 1


async def test_a_limit_on_connections_slows_a_batch_and_fails_nothing(sink: SmtpSink, relay: MakeRelay):
    """Twenty are wanted, two are granted: everything goes through those."""
    provider = relay(concurrency=20)
    await sink.script(Fault("end", "delay", delay_ms=100))
    await provider.send([email(), email()])
    before = (await sink.report()).sessions
    await sink.script(Fault("greeting", "reply", "421 4.7.0 too many connections"))
    outcomes = await provider.send([email() for _ in range(100)])
    assert {outcome.kind for outcome in outcomes} == {"sent"}
    assert provider.connections == 2
    assert (await sink.report()).sessions - before <= 18


async def test_connections_that_the_server_leaves_unanswered_hold_no_message(
    sink: SmtpSink, relay: MakeRelay
):
    """A server at its limit may let more clients connect and then say nothing: that is known after ten seconds only."""
    provider = relay(concurrency=20)
    await sink.script(Fault("end", "delay", delay_ms=100))
    await provider.send([email(), email()])
    await sink.script(Fault("greeting", "hang"))
    started = time.monotonic()
    outcomes = await provider.send([email() for _ in range(100)])
    assert time.monotonic() - started < 8
    assert {outcome.kind for outcome in outcomes} == {"sent"}


@pytest.mark.parametrize("reply", ["421 4.7.0 not now", "454 4.7.0 slower"])
async def test_a_server_that_wants_less_is_left_alone_for_a_while(
    sink: SmtpSink, relay: MakeRelay, clock: ManualClock, reply: str
):
    provider = relay(concurrency=1)
    await sink.script(Fault("mail", "reply", reply))
    assert (await send_one(provider)).code == f"server_{reply[:3]}"
    before = await until_closed(sink)
    assert (await send_one(provider)).code == "backing_off"
    assert (await sink.report()).sessions == before.sessions
    await sink.script()
    clock.advance(1.0)
    assert (await send_one(provider)).kind == "sent"


async def test_each_refusal_doubles_the_pause_and_a_success_ends_it(
    sink: SmtpSink, relay: MakeRelay, clock: ManualClock
):
    provider = relay(concurrency=1)
    await sink.script(Fault("greeting", "reply", "421 4.3.2 shutting down"))
    for pause_s in (1, 2, 4, 8):
        assert (await send_one(provider)).code == "greeting_421"
        clock.advance(pause_s - 0.5)
        assert (await send_one(provider)).code == "backing_off"
        clock.advance(0.5)
    await sink.script()
    assert (await send_one(provider)).kind == "sent"


async def test_a_batch_under_way_ends_well_while_the_provider_is_closed(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=2)
    await sink.script(Fault("end", "delay", delay_ms=200))
    before = (await sink.report()).sessions

    async def close_in_mid_send() -> None:
        await sink.wait_for(sessions=before + 2)
        await provider.close()

    outcomes, _ = await asyncio.gather(provider.send([email(), email()]), close_in_mid_send())
    assert {outcome.kind for outcome in outcomes} <= {"sent", "transient"}
    await until_closed(sink)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_is_trusted_only_by_its_authority(relay: MakeRelay, tls: TlsMode):
    with SmtpSink.start(SinkOptions(tls=tls)) as sink:
        trusted = await send_one(relay(sink))
        by_name = await send_one(relay(sink, host="localhost"))
        stranger = await send_one(relay(sink, ca=""))
        report = await sink.report()
    assert (trusted.kind, by_name.kind) == ("sent", "sent")
    assert (stranger.kind, stranger.code) == ("transient", "tls_certificate")
    assert report.received == 2


async def test_a_server_without_starttls_gets_nothing_in_clear_text(sink: SmtpSink, relay: MakeRelay):
    outcome = await send_one(relay(tls="starttls"))
    assert (outcome.kind, outcome.code) == ("transient", "unsupported")
    assert (await sink.report()).received == 0


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
async def test_a_login_that_is_wrong_waits_for_whoever_mends_it(relay: MakeRelay, tls: TlsMode):
    options = SinkOptions(tls=tls, username="shop", password="sésame")
    with SmtpSink.start(options) as sink:
        right = await send_one(relay(sink, credentials={"username": "shop", "password": "sésame"}))
        wrong = await send_one(relay(sink, credentials={"username": "shop", "password": "x"}))
        none = await send_one(relay(sink))
        report = await sink.report()
    assert right.kind == "sent"
    assert (wrong.kind, wrong.code) == ("transient", "auth")
    assert (none.kind, none.code) == ("transient", "auth")
    assert report.received == 1
