"""What single receipts do; their algebra is in tests/property/test_state_machine.py."""

from __future__ import annotations

from clarion.delivery.model import Receipt
from clarion.delivery.receipts import Tracked, fold_receipts

ADA = b"a" * 16
BOB = b"b" * 16


def receipt(kind: str, at_ms: int = 100, delivery_id: bytes = ADA) -> Receipt:
    return Receipt(f"{kind}-{at_ms}", delivery_id, kind, at_ms)


def test_delivered_and_engaged_take_their_instants():
    folded = fold_receipts({ADA: Tracked("sent")}, [receipt("engaged", 300), receipt("delivered", 200)])
    assert folded.changed == {ADA: Tracked("engaged", delivered_ms=200, engaged_ms=300)}


def test_the_first_of_several_instants_is_kept():
    before = {ADA: Tracked("delivered", delivered_ms=150)}
    folded = fold_receipts(
        before, [receipt("engaged", 400), receipt("engaged", 300), receipt("delivered", 200)]
    )
    assert folded.changed == {ADA: Tracked("engaged", delivered_ms=150, engaged_ms=300)}


def test_a_late_bounce_does_not_undo_a_delivery_but_undoes_a_mere_handing_over():
    assert fold_receipts({ADA: Tracked("delivered", 100)}, [receipt("failed")]).changed == {}
    assert fold_receipts({ADA: Tracked("sent")}, [receipt("failed")]).changed == {ADA: Tracked("failed")}


def test_a_complaint_proves_the_delivery_and_is_reported_once():
    folded = fold_receipts({ADA: Tracked("sent")}, [receipt("complained", 1), receipt("complained", 2)])
    assert folded.changed == {ADA: Tracked("delivered")}
    assert folded.complained == [ADA]


def test_a_complaint_about_an_engaged_delivery_is_reported_although_nothing_changes():
    folded = fold_receipts({ADA: Tracked("engaged", 1, 2)}, [receipt("complained")])
    assert (folded.changed, folded.complained) == ({}, [ADA])


def test_a_receipt_settles_an_unknown_delivery():
    assert fold_receipts({ADA: Tracked("unknown")}, [receipt("delivered", 7)]).changed == {
        ADA: Tracked("delivered", delivered_ms=7)
    }


def test_receipts_that_cannot_be_folded_are_handed_back():
    strange, early = receipt("teleported"), receipt("delivered", delivery_id=BOB)
    folded = fold_receipts({ADA: Tracked("sent")}, [strange, early])
    assert folded.unintelligible == [strange]
    assert folded.unmatched == [early]
    assert folded.changed == {}
