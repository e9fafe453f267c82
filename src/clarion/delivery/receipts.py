"""Folding receipts, the provider's later words, onto deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clarion.contracts.statuses import Status
from clarion.delivery.model import Receipt
from clarion.delivery.state_machine import advance

RECEIPT_STATUS: Final[dict[str, Status]] = {
    "delivered": "delivered",
    "engaged": "engaged",
    "failed": "failed",
    "complained": "delivered",  # she could complain because it was there
    "opened": "engaged",
    "clicked": "engaged",
    "machine": "delivered",  # it came where somebody's machine looks after her mail
}
"""What each kind of receipt proves."""


class Tracked(msgspec.Struct, frozen=True, gc=False):
    """A delivery as far as receipts can change it. Instants are UTC milliseconds; None: not known to have happened."""

    status: Status
    delivered_ms: int | None = None
    engaged_ms: int | None = None


class Folded(msgspec.Struct, frozen=True):
    """What a batch of receipts came to.

    `changed` has the new value of each delivery that differs from before. `complained` are the deliveries whose user
    complained, each once, whether or not the status moved: they lead to a suppression. `unmatched` are receipts whose
    delivery is not (yet) known, `unintelligible` those of a kind this release does not know; both in their order.
    """

    changed: dict[bytes, Tracked]
    complained: list[bytes]
    unmatched: list[Receipt]
    unintelligible: list[Receipt]


def fold_receipts(known: Mapping[bytes, Tracked], receipts: Sequence[Receipt]) -> Folded:
    """Fold `receipts` onto the deliveries in `known` (by delivery id).

    The order of the receipts, and repeats of them, make no difference to `changed`: statuses only advance, and each
    instant is the earliest that any receipt (or the store) knows.
    """
    changed: dict[bytes, Tracked] = {}
    complained: dict[bytes, None] = {}
    unmatched: list[Receipt] = []
    unintelligible: list[Receipt] = []
    for receipt in receipts:
        if receipt.kind not in RECEIPT_STATUS:
            unintelligible.append(receipt)
            continue
        before = changed.get(receipt.delivery_id) or known.get(receipt.delivery_id)
        if before is None:
            unmatched.append(receipt)
            continue
        if receipt.kind == "complained":
            complained[receipt.delivery_id] = None
        after = _apply(before, receipt)
        if after != before:
            changed[receipt.delivery_id] = after
    return Folded(changed, list(complained), unmatched, unintelligible)


def _apply(before: Tracked, receipt: Receipt) -> Tracked:
    status = RECEIPT_STATUS[receipt.kind]
    # A complaint proves the delivery, but not when it happened.
    is_delivery = receipt.kind in {"delivered", "machine"}
    return Tracked(
        advance(before.status, status) or before.status,
        _earliest(before.delivered_ms, receipt.at_ms) if is_delivery else before.delivered_ms,
        _earliest(before.engaged_ms, receipt.at_ms) if status == "engaged" else before.engaged_ms,
    )


def _earliest(known_ms: int | None, at_ms: int) -> int:
    return at_ms if known_ms is None else min(known_ms, at_ms)
