"""A message's own headers, checked: whatever a template says, it adds no recipient and no second header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.header import Header
from typing import Final

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.mail.address import BREAKS

_NAME: Final = re.compile(r"[!-9;-~]+")
_OURS: Final = frozenset(
    {
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "subject",
        "date",
        "message-id",
        "mime-version",
        "return-path",
        "received",
    }
)
"""Headers that say who, to whom and what: they come from the account and the delivery, not from a template."""


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with values that end where they end. Raises Unsendable (`invalid_header`)."""
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers.items():
        lower = name.lower()
        if not _NAME.fullmatch(name) or lower in _OURS or lower.startswith(("content-", "resent-")):
            msg = "a header of the message has a name that is malformed or reserved"
            raise Unsendable(msg, "invalid_header")
        if lower in seen:
            msg = f"the message has {name} twice"
            raise Unsendable(msg, "invalid_header")
        seen.add(lower)
        checked[name] = check_value(name, value)
    return checked


def check_value(name: str, value: str) -> str:
    """A header's value without space around it. Raises Unsendable (`invalid_header`)."""
    if BREAKS.search(value):
        msg = f"the value of {name} contains a control character"
        raise Unsendable(msg, "invalid_header")
    return value.strip()


def ascii_value(name: str, value: str) -> str:
    """A checked value as one line of ASCII, in encoded words (RFC 2047) where it is none. Raises Unsendable."""
    if value.isascii() and "=?" not in value:
        return value
    try:
        return Header(value, "utf-8", maxlinelen=76, header_name=name).encode(linesep="")
    except UnicodeEncodeError:
        msg = f"the value of {name} holds half of a surrogate pair"
        raise Unsendable(msg, "invalid_text") from None
