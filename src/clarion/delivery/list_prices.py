"""What vendors ask by their public lists: the prices of accounts whose tenant names none of its own.

In millionths of a US dollar, for a message (of SMS: for a segment, in the United States, without carriers' fees).
Lists change and tenants have contracts: an account's own `cost` always wins. Where a kind has several entries the
last one that has begun holds; whoever adds one leaves the others, so that what was sent before keeps its price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class ListPrice(msgspec.Struct, frozen=True):
    """A price by a public list from `from_ms` (UTC ms) on. `source`: where and when it was read, and its doubts."""

    micros: int
    source: str
    from_ms: int = 0
    by_country: dict[str, int] = {}


_FREE: Final = (ListPrice(0, "free of charge"),)

LIST_PRICES: Final[Mapping[str, tuple[ListPrice, ...]]] = {
    "sendgrid": (ListPrice(900, "overage of Essentials 100k; api-evangelist/sendgrid, read 2026-08-13"),),
    "ses": (ListPrice(100, "a la carte; AWS Price List API, read 2026-07-22 (newer accounts: 160)"),),
    "mailgun": (
        ListPrice(2_000, "Flex, since 2025-12; captaindns.com, read 2026-01-21, a secondary source"),
    ),
    "twilio": (ListPrice(8_300, "long code; dev.to and hivebook, read 2026 (carriers add about 3 000)"),),
    "vonage": (ListPrice(8_090, "api-evangelist/vonage, read 2026-05-04 (it bills in EUR)"),),
    "plivo": (ListPrice(7_700, "long code; api-evangelist/plivo, read 2026-05-08 (toll-free: 7 900)"),),
    "smtp": _FREE,
    "fcm": _FREE,
    "apns": _FREE,
    "webpush": _FREE,
    "sandbox": _FREE,
}
"""By kind, in the order of time. A kind of somebody else's package costs nothing unless its accounts say so."""
