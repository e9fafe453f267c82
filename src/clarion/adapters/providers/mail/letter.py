"""A message as vendors of e-mail take it: checked, and its parts apart; MIME is theirs to write."""

from __future__ import annotations

from email.utils import formataddr

import msgspec

from clarion.adapters.providers.base import Flight, Unsendable
from clarion.adapters.providers.mail.address import parse_mailbox, parse_named
from clarion.adapters.providers.mail.headers import ascii_value, check_headers, check_value
from clarion.adapters.providers.mail.shared_content import SEPARATOR
from clarion.kernel.errors import Invalid


class Party(msgspec.Struct, frozen=True):
    """Somebody with an address in ASCII, and a name or none."""

    name: str
    address: str

    @property
    def header(self) -> str:
        """As in `From:`, in ASCII."""
        return formataddr((self.name, self.address), "utf-8")

    @property
    def domain(self) -> str:
        """What is behind the `@`."""
        return self.address.rpartition("@")[2]


class Letter(msgspec.Struct, frozen=True, gc=False):
    """One message to one address. `headers` are in ASCII and without `Reply-To`, which is `reply_to` (None: nobody)."""

    flight: Flight
    to: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    reply_to: Party | None

    @property
    def delivery(self) -> str:
        """The delivery's id, as vendors echo it."""
        return self.flight.message.delivery_id.hex()

    @property
    def content(self) -> str:
        """Subject, text and html as one text, in which what letters share is looked for."""
        return f"{self.subject}{SEPARATOR}{self.text}{SEPARATOR}{self.html}"


def write_letter(flight: Flight, reply_to: Party | None) -> Letter:
    """The letter of a message; `reply_to` is the account's, where the message says nothing else.

    Raises Unsendable: `invalid_address`, `smtputf8_unsupported`, `invalid_header`, `invalid_text`, `no_content`.
    """
    message = flight.message
    to = parse_mailbox(message.to)
    if to.needs_utf8:
        raise Unsendable(
            "this vendor takes no addresses that are not ASCII before the @", "smtputf8_unsupported"
        )
    if not message.text and not message.html:
        raise Unsendable("the message has neither text nor html", "no_content")
    _check_text(message.text)
    _check_text(message.html)
    subject = check_value("Subject", message.subject)
    if not subject:
        raise Unsendable("the message has no subject, which this vendor wants", "no_subject")
    headers: dict[str, str] = {}
    for name, value in check_headers(message.headers).items() if message.headers else ():
        if name.lower() == "reply-to":
            reply_to = parse_party(value)
        else:
            headers[name] = ascii_value(name, value)
    _check_text(subject)
    return Letter(flight, to.wire, subject, message.text, message.html, headers, reply_to)


def _check_text(text: str) -> None:
    if SEPARATOR in text:
        raise Unsendable("the message holds a null character", "invalid_text")
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        # No `from`: the error holds the text.
        raise Unsendable("the message holds half of a surrogate pair", "invalid_text") from None


def parse_party(text: str) -> Party:
    """`Ada <ada@example.org>` or a bare address. Raises Unsendable."""
    name, mailbox = parse_named(text)
    return Party(name, mailbox.wire)


def read_party(text: str, path: str) -> Party | None:
    """A party of an account's settings; None for "". Raises Invalid at `path`."""
    try:
        return parse_party(text) if text else None
    except Unsendable as error:
        raise Invalid(error.detail, path) from error


def read_sender(text: str) -> Party:
    """`settings.from`. Raises Invalid."""
    sender = read_party(text, "settings.from")
    if sender is None:
        raise Invalid("an account needs an address to send from", "settings.from")
    return sender
