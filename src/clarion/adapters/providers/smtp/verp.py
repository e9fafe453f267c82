"""Variable envelope return paths: bounces come back to an address that names the delivery.

`bounces@example.com` becomes `bounces+<32 hexadecimal digits>@example.com`. An id has 70 random bits and is known to
those who handled the message only, so whoever invents a bounce invents it about mail of her own.
"""

from __future__ import annotations

import re
from typing import Final

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.mail.address import parse_mailbox
from clarion.kernel.errors import Invalid

LONGEST_LOCAL: Final = 31
"""Of a bounce address: with the delimiter and the id it has the 64 characters that RFC 5321 allows."""

_TAGGED: Final = re.compile(r"\+([0-9a-f]{32})@", re.IGNORECASE)


class ReturnPath:
    """The bounce address of an account. Raises Invalid (`settings.bounce_address`) where it is none, or too long."""

    def __init__(self, address: str) -> None:
        try:
            mailbox = parse_mailbox(address)
        except Unsendable as error:
            raise Invalid(error.detail, "settings.bounce_address") from error
        self._local, _, self._domain = mailbox.wire.rpartition("@")
        if mailbox.needs_utf8 or len(self._local) > LONGEST_LOCAL:
            detail = f"what stands before the @ has at most {LONGEST_LOCAL} characters of ASCII: an id is added to it"
            raise Invalid(detail, "settings.bounce_address")

    def of(self, delivery_id: bytes) -> str:
        """Where bounces of a delivery go."""
        return f"{self._local}+{delivery_id.hex()}@{self._domain}"


def returned_to(text: str) -> bytes:
    """The delivery that a return path in `text` names; b"" where there is none."""
    match = _TAGGED.search(text)
    return bytes.fromhex(match[1]) if match else b""
