"""Line breaks and what stands for them, in everything of a letter that a template or a user may write.

Each of more than 100 payloads goes into each field; what comes out either has exactly the headers that were meant, or
was refused. Vendors over HTTP get the same payloads in the headers of our own requests.
"""

from __future__ import annotations

import email
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import pytest

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.http.transport import check_headers
from clarion.adapters.providers.mail.headers import check_headers as check_mail_headers
from clarion.adapters.providers.smtp.mime import Letterhead
from clarion.delivery.model import Message

AT_MS: Final = 1_800_000_000_000

BREAKS: Final = [
    *("\r\n", "\n", "\r", "\n\r", "\r\r\n", "\r\n\r\n", "\n\n", "\0", "\0\r\n", "\v", "\f", "\x1c", "\x1d"),
    *("\x85", "\u2028", "\u2029", "\r\n ", "\r\n\t", "\n ", "\r ", "%0d%0a", "%0A", "\\r\\n", "&#13;&#10;"),
    *("=0D=0A", "=?utf-8?q?=0D=0A?=", "=?utf-8?b?DQo=?=", "\u560d\u560a", "\u010d\u010a", "\uff0d\uff0a"),
]
SMUGGLED: Final = ["Bcc: evil@example.org", "Content-Type: text/html", "", "To: evil@example.org\r\nX-A: b"]
PAYLOADS: Final = [f"Hello{between}{header}" for between in BREAKS for header in SMUGGLED]

MEANT: Final = {
    *("from", "to", "subject", "date", "message-id", "mime-version", "content-type"),
    *("content-transfer-encoding", "reply-to", "x-campaign"),
}


def message(**fields: object) -> Message:
    plain: dict[str, object] = {"to": "ada@example.org", "subject": "Hi", "text": "Hello"}
    return Message(bytes(16), b"t" * 16, "email", 1, **(plain | fields))  # pyright: ignore[reportArgumentType]


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=SMTP)


def is_intact(letter: bytes, *own: str) -> bool:
    """Whether the letter has the headers that were meant and its `own`, each once, one recipient, and its own text."""
    head = letter.partition(b"\r\n\r\n")[0]
    if b"\0" in letter or b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        return False
    parsed = read(letter)
    names = [name.lower() for name in parsed]
    return (
        set(names) <= MEANT | {name.lower() for name in own}
        and len(names) == len(set(names))
        and parsed["to"] == "ada@example.org"
        and parsed.get_content_type() == "text/plain"
    )


def test_there_are_a_hundred_payloads():
    assert len(PAYLOADS) >= 100


@pytest.mark.parametrize("field", ["subject", "header", "header name", "sender", "reply to"])
def test_no_payload_adds_a_header(field: str):
    for payload in PAYLOADS:
        try:
            letterhead = Letterhead(
                f"{payload} <news@shop.example>" if field == "sender" else "Shop <news@shop.example>",
                f"{payload} <help@shop.example>" if field == "reply to" else "",
            )
            made = message(
                subject=payload if field == "subject" else "Hi",
                headers={"header": {"X-Campaign": payload}, "header name": {payload: "x"}}.get(field, {}),
            )
            letter = letterhead.compose(made, AT_MS).text
        except Unsendable:
            continue
        # A name that is one, however odd, is a header of that very name.
        assert is_intact(letter, *made.headers), (field, payload, letter)


def test_no_payload_changes_whom_a_letter_goes_to():
    letterhead = Letterhead("Shop <news@shop.example>", "")
    for payload in PAYLOADS:
        for address in (f"ada@example.org{payload[5:]}", f"{payload}@example.org", f"ada@{payload[5:]}.org"):
            try:
                letter = letterhead.compose(message(to=address), AT_MS)
            except Unsendable:
                continue
            assert read(letter.text).get_all("to") is not None
            assert len(read(letter.text)["to"].addresses) == 1, address
            assert "bcc" not in read(letter.text), address


@pytest.mark.parametrize(
    "payload", ["Hello\r\n.\r\nMAIL FROM:<evil@example.org>", "Hi\n.\nQUIT", "Hi\r.\r", ".", "..\r\n."]
)
def test_no_text_ends_a_letter_before_its_end(payload: str):
    raw = Letterhead("Shop <news@shop.example>", "").compose(message(text=payload), AT_MS).text
    body = raw.partition(b"\r\n\r\n")[2]
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert b"\r" not in body.replace(b"\r\n", b"")
    assert read(raw).get_content().replace("\r\n", "\n").rstrip("\n") == (
        payload.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    )


def test_no_payload_adds_a_header_to_a_request():
    refused = 0
    for payload in PAYLOADS:
        for headers in ({"X-Campaign": payload}, {payload: "x"}):
            try:
                check_headers(headers)
            except Unsendable:
                refused += 1
                continue
            written = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            assert written.count("\r") == written.count("\n") == 1, headers
    assert refused > len(PAYLOADS)


def test_no_payload_reaches_a_vendor_as_two_headers():
    for payload in PAYLOADS:
        try:
            checked = check_mail_headers({"X-Campaign": payload})
        except Unsendable:
            continue
        assert not set("\r\n\0") & set(checked["X-Campaign"])
