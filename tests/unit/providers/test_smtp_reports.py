"""Mail about mail: what servers of all kinds say of messages that did not arrive."""

from __future__ import annotations

import pytest

from clarion.adapters.providers.smtp.dsn import read_report
from clarion.adapters.providers.smtp.verp import ReturnPath, returned_to
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind
from clarion.kernel.errors import Invalid

DELIVERY = bytes.fromhex("019a8f00c0de7abc8def0123456789a0")
NOW_MS = 1_800_000_000_000
TO = f"bounces+{DELIVERY.hex()}@mail.example.com"


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def dsn(
    recipient: str, *, to: str = TO, human: str = "It could not be delivered.", returned: str = ""
) -> bytes:
    """A report as RFC 3464 has it."""
    return crlf(
        f"""From: MAILER-DAEMON@relay.example.net (Mail Delivery System)
To: {to}
Subject: Undelivered Mail Returned to Sender
Date: Sun, 22 Nov 2026 10:00:00 +0000
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

{human}

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example.net
Original-Envelope-Id: {DELIVERY.hex() if not to.startswith("bounces+") else "other"}

{recipient}

--b
Content-Type: message/rfc822-headers

{returned}Subject: Hello

--b--
"""
    )


def only(raw: bytes) -> Feedback:
    (feedback,) = read_report(raw, NOW_MS)
    assert feedback.delivery_id == DELIVERY
    return feedback


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        (
            "Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <x@y.z>: User unknown",
            "bounced",
            "5.1.1",
        ),
        ("Action: failed\nStatus: 5.1.10", "bounced", "5.1.10"),
        ("Action: failed\nStatus: 5.2.1", "bounced", "5.2.1"),
        ("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 No such user here", "bounced", "5.0.0"),
        ("Action: failed\nStatus: 5.2.2 (mailbox full)", "failed", "5.2.2"),
        ("Action: failed\nStatus: 5.7.1\nDiagnostic-Code: smtp; 554 spam", "failed", "5.7.1"),
        ("Action: failed\nStatus: 4.4.7", "failed", "4.4.7"),
        ("Action: delayed\nStatus: 4.7.1", "deferred", "4.7.1"),
        ("Status: 4.2.2", "deferred", "4.2.2"),
        ("Action: delivered\nStatus: 2.0.0", "delivered", "2.0.0"),
        ("Action: relayed\nStatus: 2.1.9", "sent", "2.1.9"),
        ("Action: failed\nDiagnostic-Code: smtp; 550 5.1.1 who?", "bounced", "5.1.1"),
        ("ACTION:   Failed\nSTATUS:5.1.1", "bounced", "5.1.1"),
    ],
)
def test_reports_for_machines(fields: str, kind: FeedbackKind, code: str):
    feedback = only(dsn(f"Final-Recipient: rfc822; ada@example.net\n{fields}"))
    assert (feedback.kind, feedback.code) == (kind, code)
    assert feedback.at_ms == 1_795_341_600_000


def test_the_original_recipient_is_the_address_that_we_wrote_to():
    fields = "Original-Recipient: rfc822;Ada@Example.net\nFinal-Recipient: rfc822;x@y.z\nAction: failed\nStatus: 5.1.1"
    assert only(dsn(fields)).address == "Ada@Example.net"


@pytest.mark.parametrize(
    ("to", "returned"),
    [
        (TO, ""),
        (f"<{TO.upper()}>", ""),
        ("postmaster@example.com", ""),
        ("postmaster@example.com", f"Message-ID: <{DELIVERY.hex()}@example.com>\n"),
        ("postmaster@example.com", f"Return-Path: <{TO}>\n"),
    ],
)
def test_the_delivery_is_found_by_whichever_trace_of_it_is_left(to: str, returned: str):
    only(dsn("Action: failed\nStatus: 5.1.1", to=to, returned=returned))


def test_no_word_of_the_server_is_kept():
    feedback = only(
        dsn("Action: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <ada@example.net> unknown")
    )
    assert feedback.detail == "address"
    assert "ada" not in feedback.event_id + feedback.code + feedback.detail


PROSE = {
    "qmail": (
        "From: MAILER-DAEMON@mx.example.net\nSubject: failure notice",
        "Hi. This is the qmail-send program.\n<ada@example.net>:\nSorry, no mailbox here by that name. (#5.1.1)",
        "bounced",
    ),
    "exchange": (
        "From: postmaster@corp.example.net\nSubject: Undeliverable: Hello",
        "ada@example.net\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
        "bounced",
    ),
    "no code": (
        "From: Mail Delivery System <Mailer-Daemon@mx.example.net>\nSubject: Mail delivery failed",
        "  ada@example.net\n    Unrouteable address: unknown user",
        "bounced",
    ),
    "full": (
        "From: mailer-daemon@mx.example.net\nSubject: Returned mail",
        "552 5.2.2 Over quota",
        "failed",
    ),
    "warning": (
        "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>\nSubject: Warning: message delayed 4 hours",
        "It will be retried for 5 days.",
        "deferred",
    ),
    "temporary": (
        "From: postmaster@mx.example.net\nSubject: Delivery Status Notification",
        "451 4.7.1 try later",
        "deferred",
    ),
}


@pytest.mark.parametrize(("head", "body", "kind"), PROSE.values(), ids=PROSE)
def test_servers_that_write_prose(head: str, body: str, kind: FeedbackKind):
    assert only(crlf(f"{head}\nDelivered-To: {TO}\n\n{body}\n")).kind == kind


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("From: Ada <ada@example.net>\nAuto-Submitted: auto-replied", "I am away. 550 5.1.1 is my room."),
        ("From: Ada <ada@example.net>\nSubject: Re: Hello", "User unknown to me, but thanks! 5.1.1"),
        ("From: MAILER-DAEMON@mx.example.net", "Everything is fine."),
        ("From: MAILER-DAEMON@mx.example.net", "The host 10.5.1.1.20 was slow"),
    ],
)
def test_what_people_and_machines_say_beside_the_point_is_nothing(head: str, body: str):
    assert read_report(crlf(f"{head}\nTo: {TO}\n\n{body}\n"), NOW_MS) == []


def test_a_bounce_of_somebody_elses_mail_is_nothing():
    raw = dsn("Action: failed\nStatus: 5.1.1").replace(DELIVERY.hex().encode(), b"no-id-of-ours")
    assert read_report(raw, NOW_MS) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("abuse", "complained"), ("Fraud", "complained"), ("opt-out", "unsubscribed"), ("auth-failure", None)],
)
def test_feedback_loops(kind: str, expected: FeedbackKind | None):
    raw = crlf(
        f"""From: feedback@isp.example.net
To: abuse@example.com
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.
--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1

--b
Content-Type: message/rfc822

Return-Path: <{TO}>
Subject: Hello

Hello
--b--
"""
    )
    assert [feedback.kind for feedback in read_report(raw, NOW_MS)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"no mail",
        dsn("Action: failed\nStatus: 5.1.1")[:300],
        b"Content-Type: multipart/report; boundary=x\r\n\r\n--x",
        crlf(
            f"To: {TO}\nDate: 99 Foo\nFrom: mailer-daemon@x\nContent-Type: text/plain; charset=klingon\n\n5.1.1\n"
        ),
    ],
)
def test_mail_in_pieces_breaks_nothing(raw: bytes):
    assert len(read_report(raw, NOW_MS)) <= 1


def test_a_mail_of_a_thousand_parts_is_refused():
    parts = "--b\nContent-Type: text/plain\n\nx\n" * 1000
    with pytest.raises(Invalid, match="parts"):
        read_report(crlf(f"Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n"), NOW_MS)


def test_a_mail_inside_a_mail_inside_a_mail_is_refused_or_read():
    raw = b"Content-Type: message/rfc822\r\n\r\n" * 5000
    with pytest.raises(Invalid):
        read_report(raw, NOW_MS)


def test_a_bounce_address_names_its_delivery():
    address = ReturnPath("bounces@mail.example.com").of(DELIVERY)
    assert (address, returned_to(f"<{address}>")) == (TO, DELIVERY)


@pytest.mark.parametrize(
    "address", ["nobody", f"{'b' * 32}@example.com", "bóunces@example.com", "a b@example.com"]
)
def test_an_address_that_bounces_cannot_come_to_is_refused(address: str):
    with pytest.raises(Invalid) as caught:
        ReturnPath(address)
    assert caught.value.path == "settings.bounce_address"
