"""What a sandbox does with a message: drawn by lot, but from the message's id, so that each run draws the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from clarion.kernel.errors import Invalid
from clarion.kernel.ids import hash64

Fate: TypeAlias = Literal["sent", "transient", "permanent", "ambiguous"]
ReceiptMode: TypeAlias = Literal[
    "none", "delivered", "engaged", "failed", "bounced", "complained", "unsubscribed"
]

RECEIPT_KINDS: Final[dict[ReceiptMode, tuple[str, ...]]] = {
    "none": (),
    "delivered": ("delivered",),
    "engaged": ("delivered", "engaged"),
    "failed": ("failed",),
    "bounced": ("bounced",),
    "complained": ("delivered", "complained"),
    "unsubscribed": ("delivered", "unsubscribed"),
}
"""What the sandbox later says of each message that it took, in this order."""

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


class Phase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One phase of a script: `for_s` seconds in which the fields that it names replace those of the settings."""

    for_s: float
    latency_ms: float | None = None
    error_rate: float | None = None
    transient_rate: float | None = None
    permanent_rate: float | None = None
    ambiguous_rate: float | None = None
    throttle_per_s: float | None = None
    receipts: ReceiptMode | None = None
    receipt_delay_ms: float | None = None
    hangs: bool | None = None
    refuses: bool | None = None


class SandboxSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a sandbox behaves. Rates are shares from 0 to 1, of messages but for `error_rate`.

    `error_rate`: share of the calls that fail as a whole, as when the vendor is down (every message transient).
    `transient_rate`, `permanent_rate`, `ambiguous_rate`: shares of the messages with that outcome; an ambiguous one is
    recorded, as by a vendor that takes a message and dies before it says so. `throttle_per_s`: messages a second
    before the rest is throttled, 0 for no limit. `receipts`: what is reported of each message taken, after
    `receipt_delay_ms`. `cost_micros`: what it says that a message cost; null or 0: nothing, as most vendors.
    `idempotent`: a repeat of a delivery id is taken once only. `latency_ms`: how long a call takes. `seed`: another
    one draws other lots. `hangs`: no call is answered. `refuses`: the credentials are not accepted.

    `script`: phases, one after the other, from `script_starts_at` on, or from the first call of each process;
    afterwards the other fields hold, or it begins again (`script_repeats`).
    """

    latency_ms: float = 0.0
    error_rate: float = 0.0
    transient_rate: float = 0.0
    permanent_rate: float = 0.0
    ambiguous_rate: float = 0.0
    throttle_per_s: float = 0.0
    receipts: ReceiptMode = "none"
    receipt_delay_ms: float = 0.0
    cost_micros: int | None = None
    idempotent: bool = False
    seed: int = 0
    hangs: bool = False
    refuses: bool = False
    script: Sequence[Phase] = ()
    script_starts_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    script_repeats: bool = False


def check_settings(settings: SandboxSettings) -> None:
    """Raise Invalid with the path of a value out of its range (which, in settings, `NaN` always is)."""
    for name in ("latency_ms", "throttle_per_s", "receipt_delay_ms", "cost_micros"):
        value = getattr(settings, name)
        if value is not None and not 0 <= value < float("inf"):
            msg = "must be a number of at least 0"
            raise Invalid(msg, f"settings.{name}")
    for name in ("error_rate", "transient_rate", "permanent_rate", "ambiguous_rate"):
        if not 0 <= getattr(settings, name) <= 1:
            msg = "a rate lies between 0 and 1"
            raise Invalid(msg, f"settings.{name}")
    if settings.transient_rate + settings.permanent_rate + settings.ambiguous_rate > 1:
        msg = "transient_rate, permanent_rate and ambiguous_rate are more than 1 together"
        raise Invalid(msg, "settings")


def draw(delivery_id: bytes, attempt: int, seed: int) -> float:
    """A number in [0, 1), uniform over ids, attempts and seeds, and the same each time for the same three."""
    # Two rounds of multiply and fold (SplitMix64's finaliser): neighbours in attempt or seed share nothing.
    mixed = (hash64(delivery_id) + _GOLDEN * (attempt + 1000 * seed)) & _MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
    return (mixed >> 11) / (1 << 53)


def fate_of(lot: float, settings: SandboxSettings) -> Fate:
    """What becomes of the message that drew `lot`."""
    if lot < settings.transient_rate:
        return "transient"
    if lot < settings.transient_rate + settings.permanent_rate:
        return "permanent"
    if lot < settings.transient_rate + settings.permanent_rate + settings.ambiguous_rate:
        return "ambiguous"
    return "sent"
