"""What a vendor's status says where its own words say nothing."""

from __future__ import annotations

import msgspec
import pytest

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.statuses import (
    LONGEST_RETRY_AFTER_S,
    Verdict,
    outcome_of,
    peek_body,
    read_body,
    retry_after_of,
    verdict_of,
)
from clarion.delivery.model import Message

NOW_MS = 1_800_000_000_000  # 15 January 2027, 08:00:00 UTC


class Answer(msgspec.Struct):
    id: str


def reply(status: int, body: bytes = b"", **headers: str) -> HttpReply:
    return HttpReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict("sent")),
        (202, Verdict("sent")),
        (302, Verdict("transient", "redirect")),
        (308, Verdict("transient", "redirect")),
        (400, Verdict("permanent", "http_400")),
        (401, Verdict("transient", "auth")),
        (402, Verdict("transient", "payment_required")),
        (403, Verdict("transient", "auth")),
        (404, Verdict("permanent", "http_404")),
        (408, Verdict("transient", "http_408")),
        (413, Verdict("permanent", "http_413")),
        (422, Verdict("permanent", "http_422")),
        (425, Verdict("transient", "http_425")),
        (429, Verdict("throttled", "http_429", 1.0)),
        (500, Verdict("transient", "http_500")),
        (502, Verdict("transient", "http_502")),
        (503, Verdict("transient", "http_503")),
        (504, Verdict("ambiguous", "http_504")),
        (599, Verdict("transient", "http_599")),
        (799, Verdict("transient", "http_799")),
    ],
    ids=str,
)
def test_each_status_has_one_meaning(status: int, verdict: Verdict):
    assert verdict_of(reply(status, b"<html>whatever</html>"), NOW_MS) == verdict


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0.25", 0.25),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 08:00:30", 30.0),
        ("Fri, 15 Jan 2027 09:00:30 +0100", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("999999999", LONGEST_RETRY_AFTER_S),
        ("99999999999999999999", 0.0),
        ("-5", 0.0),
        ("soon", 0.0),
        ("nan", 0.0),
        ("Fri, 99 Jan 2027 08:00:30 GMT", 0.0),
        ("", 0.0),
    ],
    ids=str,
)
def test_retry_after_is_a_number_or_a_date(text: str, wait_s: float):
    assert retry_after_of({"retry-after": text}, NOW_MS) == wait_s


def test_who_throttles_or_is_down_says_for_how_long():
    assert verdict_of(reply(429, retry_after="60"), NOW_MS).retry_after_s == 60
    assert verdict_of(reply(503, retry_after="60"), NOW_MS) == Verdict("transient", "http_503", 60.0)


def test_a_success_is_one_in_the_vendors_own_words_only():
    assert read_body(reply(200, b'{"id": "1"}'), Answer) == Answer("1")
    for body in (
        b"",
        b"<html>Sign in to the wifi</html>",
        b'{"error": "no"}',
        b"[" * 100_000,
        b'{"id": "\xff"}',
    ):
        with pytest.raises(Cut) as refusal:
            read_body(reply(200, body), Answer)
        assert refusal.value.code == "unreadable_reply"
        assert peek_body(reply(502, body), Answer) is None


def test_an_outcome_carries_the_verdict():
    message = Message(b"d" * 16, b"t" * 16, "sms", 1, to="+1")
    outcome = outcome_of(message, Verdict("throttled", "http_429", 2.0), "slower, please")
    assert (outcome.delivery_id, outcome.kind, outcome.code) == (b"d" * 16, "throttled", "http_429")
    assert (outcome.detail, outcome.retry_after_s) == ("slower, please", 2.0)
