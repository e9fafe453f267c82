"""What becomes of a message when a real server refuses it, hangs, or hangs up, at each step of the dialogue."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from msgspec.structs import replace

from clarion.adapters.providers.smtp.sink_model import FaultStage
from clarion.testing.smtp import Fault, SmtpSink
from tests.integration.providers.support import MakeRelay, email, send_one

GREYLISTED = "451 4.7.1 <ada@example.org> greylisted, come back later"


REFUSALS: dict[tuple[FaultStage, str], tuple[str, str, int]] = {
    ("rcpt", "550 5.1.1 <ada@example.org> User unknown"): ("permanent", "rcpt_550", 0),
    ("rcpt", "450 4.2.0 <ada@example.org> Greylisted"): ("transient", "rcpt_450", 0),
    ("rcpt", GREYLISTED): ("transient", "rcpt_451", 0),
    ("rcpt", "452 4.2.2 Mailbox full"): ("transient", "rcpt_452", 0),
    ("rcpt", "550-5.7.1 Two lines\r\n550 5.7.1 of refusal"): ("permanent", "rcpt_550", 0),
    ("mail", "553 5.7.1 not your address"): ("permanent", "mail_553", 0),
    ("mail", "452 4.3.1 out of storage"): ("transient", "mail_452", 0),
    ("mail", "421 4.7.0 too much from you"): ("transient", "server_421", 0),
    ("mail", "454 Throttling failure: Maximum sending rate exceeded."): ("transient", "server_454", 0),
    ("mail", "530 5.7.0 log in first"): ("transient", "auth", 0),
    ("data", "554 5.5.1 no valid recipients"): ("permanent", "data_554", 0),
    ("data", "250 what?"): ("transient", "data_250", 0),
    ("end", "552 5.3.4 too big"): ("permanent", "end_552", 0),
    ("end", "451 4.3.0 error in processing"): ("transient", "end_451", 0),
    ("end", "354 go on"): ("ambiguous", "end_354", 0),
    ("end", "hello world"): ("ambiguous", "malformed_reply", 0),
    ("mail", "hello world"): ("transient", "malformed_reply", 0),
}
"""A reply at a stage: what kind of outcome, with which code and which pause in seconds."""


@pytest.mark.parametrize(
    ("refusal", "expected"), REFUSALS.items(), ids=lambda pair: f"{pair[0]}-{pair[1][:12]}"
)
async def test_a_reply_decides(
    sink: SmtpSink, relay: MakeRelay, refusal: tuple[FaultStage, str], expected: tuple[str, str, int]
):
    provider = relay()
    stage, reply = refusal
    await sink.script(Fault(stage, "reply", reply, times=1))
    outcome = await send_one(provider)
    assert (outcome.kind, outcome.code, outcome.retry_after_s) == expected
    assert "example.org" not in outcome.detail
    assert outcome.cost_micros == 0
    assert (await sink.report()).received == 0


async def test_who_is_greylisted_asks_again_soon_and_then_ever_less_often(sink: SmtpSink, relay: MakeRelay):
    provider = relay()
    await sink.script(Fault("rcpt", "reply", GREYLISTED))
    letters = [replace(email(), attempt=attempt) for attempt in (1, 2, 3, 4, 5, 30)]
    pauses = [outcome.retry_after_s for outcome in await provider.send(letters)]
    assert pauses == [0, 60, 120, 300, 300, 300]


async def test_a_server_that_is_only_busy_is_not_taken_for_greylisting(sink: SmtpSink, relay: MakeRelay):
    provider = relay()
    busy: dict[FaultStage, str] = {
        "mail": "451 4.3.2 not now",
        "rcpt": "450 4.2.1 busy",
        "end": "451 4.3.0 error",
    }
    for stage, reply in busy.items():
        await sink.script(Fault(stage, "reply", reply))
        (outcome,) = await provider.send([replace(email(), attempt=3)])
        assert (outcome.kind, outcome.retry_after_s) == ("transient", 0)


async def test_the_enhanced_code_is_told_in_words(sink: SmtpSink, relay: MakeRelay):
    await sink.script(Fault("rcpt", "reply", "550 5.7.26 unauthenticated mail is refused"))
    outcome = await send_one(relay())
    assert outcome.detail == "the server answered 550 at RCPT (5.7.26, policy)"


async def test_each_recipients_own_code_decides_within_one_batch(sink: SmtpSink, relay: MakeRelay):
    """One class of exception stands for both in aiosmtplib; a naive adapter bounces the greylisted."""
    await sink.script(
        Fault("rcpt", "reply", "550 5.1.1 unknown", "gone-*"),
        Fault("rcpt", "reply", GREYLISTED, "grey-*"),
    )
    names = [f"{kind}-{n}" for n in range(5) for kind in ("gone", "grey", "good")]
    outcomes = await relay().send([email(to=f"{name}@example.org") for name in names])
    kinds = {"gone": "permanent", "grey": "transient", "good": "sent"}
    assert [outcome.kind for outcome in outcomes] == [kinds[name.partition("-")[0]] for name in names]
    report = await sink.report(by_recipient=True)
    assert report.by_recipient == {f"good-{n}@example.org": 1 for n in range(5)}


async def test_a_refused_message_does_not_spoil_the_connection(sink: SmtpSink, relay: MakeRelay):
    provider = relay(concurrency=1)
    sessions = (await sink.report()).sessions
    await sink.script(Fault("rcpt", "reply", "550 no", "bad@example.org"))
    outcomes = await provider.send(
        [email(to="bad@example.org"), email(), email(to="bad@example.org"), email()]
    )
    assert [outcome.kind for outcome in outcomes] == ["permanent", "sent", "permanent", "sent"]
    report = await sink.report()
    assert (report.distinct, report.duplicates, report.sessions - sessions) == (2, 0, 1)


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        ("greeting", "transient"),
        ("mail", "transient"),
        ("rcpt", "transient"),
        ("data", "transient"),
        ("end", "ambiguous"),
    ],
)
async def test_a_server_that_hangs_costs_the_deadline_and_no_more(
    sink: SmtpSink, relay: MakeRelay, stage: FaultStage, kind: str
):
    provider = relay(timeout_s=0.5)
    await sink.script(Fault(stage, "hang"))
    started = time.monotonic()
    outcomes = await provider.send([email() for _ in range(12)])
    assert time.monotonic() - started < 3
    # Four connections hang with a message each; the others were never begun.
    expected = Counter({kind: 4, "transient": 8}) if kind == "ambiguous" else Counter({"transient": 12})
    assert Counter(outcome.kind for outcome in outcomes) == expected
    assert (await sink.report()).received == 0


async def test_one_recipient_that_hangs_does_not_hold_up_the_others(sink: SmtpSink, relay: MakeRelay):
    await sink.script(Fault("end", "hang", recipient="tar@example.org"))
    outcomes = await relay(timeout_s=1).send(
        [email(to="tar@example.org"), *(email() for _ in range(19))],
    )
    assert [outcome.kind for outcome in outcomes] == ["ambiguous"] + ["sent"] * 19
    assert outcomes[0].code == "deadline"


@pytest.mark.parametrize(
    ("stage", "kind", "code"),
    [
        ("greeting", "transient", "connect"),
        ("mail", "transient", "disconnected"),
        ("rcpt", "transient", "disconnected"),
        ("data", "transient", "disconnected"),
        ("body", "ambiguous", "disconnected"),
        ("end", "ambiguous", "disconnected"),
    ],
)
async def test_a_server_that_hangs_up_is_ambiguous_only_after_the_final_dot(
    sink: SmtpSink, relay: MakeRelay, stage: FaultStage, kind: str, code: str
):
    provider = relay()
    await sink.script(Fault(stage, "close"))
    outcome = await send_one(provider)
    assert (outcome.kind, outcome.code) == (kind, code)


@pytest.mark.parametrize("arrivals", [1, 0], ids=["accepted", "lost"])
async def test_nobody_can_tell_a_message_taken_from_a_message_lost_when_the_server_hangs_up_after_it(
    sink: SmtpSink, relay: MakeRelay, arrivals: int
):
    await sink.script(Fault("end", "close", accepted=arrivals == 1))
    assert (await send_one(relay())).kind == "ambiguous"
    assert (await sink.report()).received == arrivals


async def test_a_message_whose_last_bytes_never_left_was_surely_not_sent(sink: SmtpSink, relay: MakeRelay):
    """The server stops reading: what the kernel does not take waits in this process, the final dot last."""
    provider = relay(timeout_s=1)
    await sink.script(Fault("body", "hang"))
    outcome = await send_one(provider, text="x" * 24_000_000)
    assert (outcome.kind, outcome.code) == ("transient", "deadline")
    await sink.script()
    assert (await send_one(provider)).kind == "sent"
    report = await sink.report()
    assert report.received == 1


async def test_a_slow_server_is_waited_for(sink: SmtpSink, relay: MakeRelay):
    await sink.script(Fault("end", "delay", delay_ms=300))
    assert (await send_one(relay())).kind == "sent"


async def test_nobody_listening_is_transient(relay: MakeRelay):
    provider = relay(port=1)
    outcomes = await provider.send([email() for _ in range(10)])
    assert {outcome.kind for outcome in outcomes} == {"transient"}
    assert {outcome.code for outcome in outcomes} <= {"connect", "backing_off"}
