"""Mail addresses: what goes between the angle brackets of an envelope and a header."""

from __future__ import annotations

import re
from typing import Final

import email_validator
import msgspec

from clarion.adapters.providers.base import Unsendable

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PLAIN: Final = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@({_LABEL}(?:\.{_LABEL})*)")
"""An ASCII address, a host of one label included (`root@localhost`): whether it exists is for the server to say."""

_LONGEST: Final = 254
_LONGEST_LOCAL: Final = 64
BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Characters with which a value could end its header or command and begin another; tab is not one."""


class Mailbox(msgspec.Struct, frozen=True, gc=False):
    """An address ready for the wire. `wire` is ASCII, but with `needs_utf8` (the part before the `@` is not ASCII)."""

    wire: str
    domain: str
    needs_utf8: bool = False


def parse_mailbox(address: str) -> Mailbox:
    """Check an address and encode its domain (IDNA 2008). Raises Unsendable: `invalid_header`, `invalid_address`."""
    if (plain := _PLAIN.fullmatch(address)) and len(address) <= _LONGEST and plain.end(1) <= _LONGEST_LOCAL:
        return Mailbox(address, plain[2])
    if BREAKS.search(address):
        msg = "the address contains a control character"
        raise Unsendable(msg, "invalid_header")
    checked = None if address.isascii() else _validate(address)
    if checked is None:
        msg = "the address is malformed"
        raise Unsendable(msg, "invalid_address")
    if checked.ascii_email is not None:
        return Mailbox(checked.ascii_email, checked.ascii_domain)
    return Mailbox(f"{checked.local_part}@{checked.ascii_domain}", checked.ascii_domain, needs_utf8=True)


def _validate(address: str) -> email_validator.ValidatedEmail | None:
    """An international address, checked and encoded; None where it is none (the reason quotes it, so it is dropped).

    Takes 170 µs: plain addresses, nearly all there are, never come here.
    """
    try:
        return email_validator.validate_email(address, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError:
        return None


def parse_named(text: str) -> tuple[str, Mailbox]:
    """The display name ("" for none) and mailbox of `Ada <ada@example.org>` or of a bare address.

    Raises Unsendable as `parse_mailbox` does, and where the part before the `@` is not ASCII: in headers other than
    `To:` that would need a server that understands it, whoever the recipient is.
    """
    if BREAKS.search(text):
        msg = "the address contains a control character"
        raise Unsendable(msg, "invalid_header")
    name, bracket, address = text.strip().rpartition("<")
    if bracket and not address.endswith(">"):
        msg = "the address is malformed"
        raise Unsendable(msg, "invalid_address")
    mailbox = parse_mailbox(address.removesuffix(">").strip() if bracket else address)
    if mailbox.needs_utf8:
        msg = "the address is not ASCII before the @"
        raise Unsendable(msg, "invalid_address")
    name = name.strip()
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return name, mailbox
