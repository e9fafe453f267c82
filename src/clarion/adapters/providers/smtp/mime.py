"""Messages as RFC 5322 text.

`EmailMessage` does all of this, in 1.25 ms for a message of 2 kB with two bodies; a sender that has to fill 2,000 of
them a second cannot wait for that. The shape here is fixed (a header block, one body or two alternatives), so it is
written out directly, in 15 µs, and everything that needs care (encoded words, quoted-printable, base64) is left to the
standard library. That the result reads back, by the standard library's parser, as exactly what went in is a property
test, against hostile values too.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, formataddr
from functools import lru_cache
from typing import Final

import msgspec

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.mail.address import Mailbox, parse_mailbox, parse_named
from clarion.adapters.providers.mail.headers import check_headers, check_value
from clarion.delivery.model import Message

_FOLD_AT: Final = 78
_LONGEST_LINE: Final = 998
_BOUNDARY: Final = "=_clarion_"
"""Begins like no line of quoted-printable or base64 can (RFC 2045, 6.7): `=` is followed by two hex digits there."""

_WORDS: Final = re.compile(r" *[^ ]+")


class Letter(msgspec.Struct, frozen=True, gc=False):
    """A message ready for the wire: `text` is canonical (every line ends with CRLF), not dot-stuffed."""

    recipient: Mailbox
    text: bytes


class Letterhead:
    """What all letters of one account have in common. `sender` and `reply_to` are as in `From:`; "" for no reply-to.

    Raises Unsendable where one of them is no address.
    """

    def __init__(self, sender: str, reply_to: str = "") -> None:
        self.sender_name, self.mailbox = parse_named(sender)
        self._from = _folded("From", formataddr((self.sender_name, self.mailbox.wire), "utf-8"))
        self._reply_to = _address_header("Reply-To", reply_to) if reply_to else ""

    def compose(self, message: Message, at_ms: int) -> Letter:
        """The letter of a message, dated `at_ms` (UTC ms). Its Message-ID is the delivery's: the same each attempt.

        Raises Unsendable: `invalid_address`, `invalid_header` (a header that is none, or would smuggle in another),
        `invalid_text` (text that cannot be encoded), `no_content`.
        """
        recipient = parse_mailbox(message.to)
        extra, has_reply_to = _extra_headers(message.headers)
        head = "".join(
            (
                self._from,
                f"To: <{recipient.wire}>\r\n",
                "" if has_reply_to else self._reply_to,
                header("Subject", message.subject),
                _date(at_ms // 1000),
                f"Message-ID: {self.message_id(message.delivery_id)}\r\n",
                extra,
                "MIME-Version: 1.0\r\n",
            )
        )
        try:
            return Letter(recipient, head.encode() + _body(message))
        except UnicodeEncodeError:
            # No `from`: the error holds the text.
            msg = "the message holds half of a surrogate pair"
            raise Unsendable(msg, "invalid_text") from None

    def message_id(self, delivery_id: bytes) -> str:
        """The Message-ID of a delivery, with its angle brackets."""
        return f"<{delivery_id.hex()}@{self.mailbox.domain}>"


def header(name: str, value: str) -> str:
    """A header of free text, folded and with its CRLF. Raises Unsendable (`invalid_header`)."""
    value = check_value(name, value)
    if value.isascii() and "=?" not in value:
        return _folded(name, value)
    try:
        encoded = Header(value, "utf-8", maxlinelen=76, header_name=name).encode(linesep="\r\n")
    except UnicodeEncodeError:
        msg = f"the value of {name} holds half of a surrogate pair"
        raise Unsendable(msg, "invalid_text") from None
    return f"{name}: {encoded}\r\n"


def _folded(name: str, value: str) -> str:
    """A header of ASCII, broken before spaces where it is long. What has no space stays whole: links must not break."""
    line = f"{name}: {value}"
    if len(line) <= _FOLD_AT:
        return f"{line}\r\n"
    line, lines = f"{name}:", list[str]()
    for word in _WORDS.findall(f" {value}"):
        if len(line) + len(word) > _FOLD_AT and line[-1] != ":":
            lines.append(line)
            line = word
        else:
            line += word
    lines.append(line)
    if max(map(len, lines)) > _LONGEST_LINE:
        msg = f"the value of {name} has a word of more than {_LONGEST_LINE} characters"
        raise Unsendable(msg, "invalid_header")
    return "\r\n".join(lines) + "\r\n"


def _address_header(name: str, value: str) -> str:
    display_name, mailbox = parse_named(value)
    return _folded(name, formataddr((display_name, mailbox.wire), "utf-8"))


def _extra_headers(headers: Mapping[str, str]) -> tuple[str, bool]:
    """A message's own headers, and whether a Reply-To is among them."""
    if not headers:
        return "", False
    checked = check_headers(headers)
    reply_to = [name for name in checked if name.lower() == "reply-to"]
    written = [
        _address_header(name, value) if name in reply_to else header(name, value)
        for name, value in checked.items()
    ]
    return "".join(written), bool(reply_to)


def _body(message: Message) -> bytes:
    """The headers that describe the body, an empty line, and the body."""
    parts = [(kind, text) for kind, text in (("plain", message.text), ("html", message.html)) if text]
    if not parts:
        msg = "the message has neither text nor html"
        raise Unsendable(msg, "no_content")
    if len(parts) == 1:
        return _part(*parts[0])
    # Unique by the id; and a body in which it would turn up is not sent as 7bit (`_part`).
    boundary = f"{_BOUNDARY}{message.delivery_id.hex()}".encode()
    opening = b'Content-Type: multipart/alternative;\r\n boundary="%s"\r\n\r\n' % boundary
    # The line break before a boundary belongs to it: without one of its own a body would lose its last.
    bodies = b"".join(b"--%s\r\n%s\r\n" % (boundary, _part(kind, text)) for kind, text in parts)
    return b"%s%s--%s--\r\n" % (opening, bodies, boundary)


def _part(kind: str, text: str) -> bytes:
    """One body with its headers, in the encoding that costs least; it ends with CRLF."""
    lines = text.encode().splitlines()
    raw = b"\r\n".join(lines) + b"\r\n"
    if _fits_7bit(raw, lines):
        return _described(kind, b"us-ascii", b"7bit", raw)
    # Quoted-printable makes 3 bytes of one, base64 4 of 3: where every sixth byte is to be encoded they break even.
    # A character beyond ASCII has at least 2 bytes, so the difference counts about half of those bytes.
    if len(raw) - len(text) > len(raw) // 12:
        return _described(kind, b"utf-8", b"base64", base64.encodebytes(raw).replace(b"\n", b"\r\n"))
    return _described(kind, b"utf-8", b"quoted-printable", binascii.b2a_qp(raw))


def _fits_7bit(raw: bytes, lines: list[bytes]) -> bool:
    is_plain = raw.isascii() and b"\0" not in raw and _BOUNDARY.encode() not in raw
    return is_plain and max(map(len, lines)) <= _LONGEST_LINE


def _described(kind: str, charset: bytes, encoding: bytes, body: bytes) -> bytes:
    return b'Content-Type: text/%s; charset="%s"\r\nContent-Transfer-Encoding: %s\r\n\r\n%s' % (
        kind.encode(),
        charset,
        encoding,
        body,
    )


@lru_cache(maxsize=16)
def _date(second: int) -> str:
    return f"Date: {format_datetime(datetime.fromtimestamp(second, UTC))}\r\n"
