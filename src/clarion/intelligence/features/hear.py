"""Events into signs: which of them say something of a person, and what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from clarion.contracts.channels import CHANNEL_INDEX
from clarion.contracts.events import NotificationEvent
from clarion.contracts.user_events import UserEvent
from clarion.intelligence.features.signs import SignKind, Signs, as_signs
from clarion.kernel.local_time import MINUTE_MS

AHEAD_MS: Final = 5 * MINUTE_MS
"""So far a clock may be ahead of ours. What is said to be later than that, happened when we heard of it."""

KINDS: Final[dict[str, tuple[SignKind, ...]]] = {
    "sent": (SignKind.SENT,),
    "engaged": (SignKind.OPENED,),
    "opened": (SignKind.OPENED,),
    "clicked": (SignKind.OPENED, SignKind.CLICKED),
    "machine": (SignKind.MACHINE,),
    "complained": (SignKind.REFUSED,),
    "unsubscribed": (SignKind.REFUSED,),
}
"""What types of notification events say. `engaged` comes beside `opened` or `clicked`, and is the same open."""

NO_CHANNEL: Final = -1
_MASK: Final = (1 << 64) - 1
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
"""2⁶⁴ divided by the golden ratio: kinds differ in about half of their bits."""


def name_sign(ident: bytes, kind: SignKind) -> int:
    """64 bits that are the same for the same sign of the same delivery or event, from whomever it is heard; never 0.

    An open that a click implies, one that a provider reports and one that our own link saw are one sign by this.
    """
    number = int.from_bytes(ident, "big")
    return (number + (number >> 64) * _SPREAD ^ (kind + 1) * _SPREAD) & _MASK or 1


def hear(messages: Iterable[NotificationEvent], deeds: Iterable[UserEvent], now_ms: int) -> Signs:
    """The signs in events of notifications and of users, at offset 0 (see `zones.at_home`).

    Those of test mode say nothing. What is said to come from the future happened at `now_ms`.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    latest_ms = now_ms + AHEAD_MS
    for event in messages:
        kinds = KINDS.get(event.type)
        channel = CHANNEL_INDEX.get(event.channel)
        if kinds is None or channel is None or event.is_test:
            continue
        at_ms = event.at_ms if event.at_ms <= latest_ms else now_ms
        rows += [(event.user_id, kind, channel, at_ms, name_sign(event.delivery_id, kind)) for kind in kinds]
    for deed in deeds:
        at_ms = deed.at_ms if deed.at_ms <= latest_ms else now_ms
        ident = name_sign(deed.event_id, SignKind.ACTIVE)
        rows.append((deed.user_id, SignKind.ACTIVE, NO_CHANNEL, at_ms, ident))
    return as_signs(rows)
