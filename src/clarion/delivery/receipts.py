"""Folding receipts, the provider's later words, onto deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.ports import ConsentWord
from clarion.compliance.suppression import SuppressionReason
from clarion.contracts.channels import Channel
from clarion.contracts.statuses import Status
from clarion.delivery.model import Receipt
from clarion.delivery.state_machine import advance

RECEIPT_STATUS: Final[dict[str, Status | None]] = {
    "sent": "sent",
    "deferred": None,
    "delivered": "delivered",
    "engaged": "engaged",
    "failed": "failed",
    "bounced": "failed",
    "complained": "delivered",  # she could complain because it was there
    "unsubscribed": None,
    "resubscribed": None,
    "opened": "engaged",
    "clicked": "engaged",
    "machine": "delivered",  # it came where somebody's machine looks after her mail
}
"""What each kind of receipt proves of its delivery; None: nothing."""

NOTED: Final = frozenset({"deferred", "failed", "bounced", "complained", "unsubscribed", "resubscribed"})
"""Kinds that are kept in the attempt log, and so known when they come again: they have consequences beyond a status."""

MAX_DEFERRALS: Final = 10
"""Of one delivery, kept in its log. A server may say "later" every few minutes, for days."""

Note: TypeAlias = tuple[str, int]
"""Kind and time of a receipt: what a repeat of it has in common with it."""


class Tracked(msgspec.Struct, frozen=True, gc=False):
    """A delivery as far as receipts can change it. Instants are UTC milliseconds; None: not known to have happened.

    `notes`: the receipts of the kinds in `NOTED` that it had.
    """

    status: Status
    delivered_ms: int | None = None
    engaged_ms: int | None = None
    notes: frozenset[Note] = frozenset()


class Folded(msgspec.Struct, frozen=True):
    """What a batch of receipts came to.

    `changed` has the new value of each delivery that differs from before, `costs` what it really cost (micros).
    `noted` are receipts that are new to their delivery's notes, for whoever acts on them. `unmatched` are receipts
    whose delivery is not (yet) known, `unintelligible` those of a kind this release does not know; all in their order.
    """

    changed: dict[bytes, Tracked]
    costs: dict[bytes, int]
    noted: list[Receipt]
    unmatched: list[Receipt]
    unintelligible: list[Receipt]


def fold_receipts(known: Mapping[bytes, Tracked], receipts: Sequence[Receipt]) -> Folded:
    """Fold `receipts` onto the deliveries in `known` (by delivery id).

    The order of the receipts, and repeats of them, make no difference to `changed`: statuses only advance, each
    instant is the earliest that any receipt (or the store) knows, and each word is noted once.
    """
    folded = Folded({}, {}, [], [], [])
    for receipt in receipts:
        if receipt.kind not in RECEIPT_STATUS:
            folded.unintelligible.append(receipt)
            continue
        before = folded.changed.get(receipt.delivery_id) or known.get(receipt.delivery_id)
        if before is None:
            folded.unmatched.append(receipt)
            continue
        after = _apply(before, receipt)
        if after.notes != before.notes:
            folded.noted.append(receipt)
        if after != before:
            folded.changed[receipt.delivery_id] = after
        if receipt.cost_micros is not None:
            # Of two prices in a batch the higher: some vendors name none, as 0, until they have delivered.
            cost = max(receipt.cost_micros, folded.costs.get(receipt.delivery_id, 0))
            folded.costs[receipt.delivery_id] = cost
    return folded


def _apply(before: Tracked, receipt: Receipt) -> Tracked:
    status = RECEIPT_STATUS[receipt.kind]
    # A complaint proves the delivery, but not when it happened.
    is_delivery = receipt.kind in {"delivered", "machine"}
    return Tracked(
        before.status if status is None else advance(before.status, status) or before.status,
        _earliest(before.delivered_ms, receipt.at_ms) if is_delivery else before.delivered_ms,
        _earliest(before.engaged_ms, receipt.at_ms) if status == "engaged" else before.engaged_ms,
        _with_note(before.notes, receipt),
    )


def _earliest(known_ms: int | None, at_ms: int) -> int:
    return at_ms if known_ms is None else min(known_ms, at_ms)


def _with_note(notes: frozenset[Note], receipt: Receipt) -> frozenset[Note]:
    if receipt.kind not in NOTED:
        return notes
    grown = notes | {(receipt.kind, receipt.at_ms)}
    deferrals = sorted(note for note in grown if note[0] == "deferred")
    return grown.difference(deferrals[MAX_DEFERRALS:])


class Addressee(msgspec.Struct, frozen=True, gc=False):
    """Who a delivery went to, what for, and through whom: `source` is kept with what she says of it."""

    tenant_id: bytes
    user_id: int
    channel: Channel
    category: str
    source: str


class Silence(msgspec.Struct, frozen=True, gc=False):
    """A channel of a user is to stay silent, for what became of one of its messages. `address_hmac` as in `Receipt`."""

    user_id: int
    channel: Channel
    reason: SuppressionReason
    address_hmac: bytes = b""


class Consequences(msgspec.Struct, frozen=True):
    """What follows from receipts for one tenant's users: silences, and words of theirs."""

    silences: list[Silence]
    words: list[ConsentWord]


_SILENCED_BY: Final[dict[str, SuppressionReason]] = {"bounced": "hard_bounce", "complained": "complaint"}


def consequences_of(
    noted: Sequence[Receipt], addressees: Mapping[bytes, Addressee]
) -> dict[bytes, Consequences]:
    """What follows from receipts, by tenant. Those about deliveries that `addressees` does not have are left out.

    A dead address and a complaint silence the channel. So does an opt-out by text message, which carriers enforce; one
    by any other way is a refusal of all that she could refuse, and her receipts and codes still arrive. Who comes back
    does so for the category that she was written to about.
    """
    found: dict[bytes, Consequences] = {}
    for receipt in noted:
        who = addressees.get(receipt.delivery_id)
        if who is None or receipt.kind in {"deferred", "failed"}:
            continue
        tenant = found.setdefault(who.tenant_id, Consequences([], []))
        is_stop = receipt.kind == "unsubscribed" and who.channel == "sms"
        # A vendor that refuses the number says so with a code of its own.
        stop: SuppressionReason = "provider_block" if receipt.code else "stop"
        reason = stop if is_stop else _SILENCED_BY.get(receipt.kind)
        if reason is not None:
            tenant.silences.append(Silence(who.user_id, who.channel, reason, receipt.address_hmac))
        else:
            tenant.words.append(_word(receipt, who))
    return found


def _word(receipt: Receipt, who: Addressee) -> ConsentWord:
    comes_back = receipt.kind == "resubscribed"
    return ConsentWord(
        user_id=who.user_id,
        channel=who.channel,
        category=who.category if comes_back else ANY_CATEGORY,
        consented=comes_back,
        source=who.source,
        express=comes_back,
        given_ms=receipt.at_ms,
    )


def settles(receipt: Receipt, *, is_sending: bool) -> bool:
    """Whether a receipt ends a delivery that nobody holds and that is still open.

    One that was `sending` when its worker died: any word on what became of it. One that waits for its next attempt:
    what proves that an attempt of unknown outcome arrived, or never can. That an attempt failed is no news then.
    """
    status = RECEIPT_STATUS.get(receipt.kind)
    return status is not None and (is_sending or status != "failed" or receipt.kind == "bounced")


def clipped(receipt: Receipt, now_ms: int) -> Receipt:
    """A receipt as it may be kept: not from the future, its text short and of characters that every store can hold."""
    return replace(
        receipt,
        at_ms=min(receipt.at_ms, now_ms),
        code=_clean(receipt.code, MAX_CODE),
        detail=_clean(receipt.detail, MAX_DETAIL),
        provider_message_id=_clean(receipt.provider_message_id, MAX_MESSAGE_ID),
    )


MAX_CODE: Final = 100
MAX_DETAIL: Final = 500
MAX_MESSAGE_ID: Final = 500


def _clean(text: str, most: int) -> str:
    if text.isascii() and text.isprintable():
        return text[:most]
    return "".join(c if c.isprintable() else " " for c in text[:most])
