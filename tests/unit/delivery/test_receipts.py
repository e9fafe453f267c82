"""What single receipts do; their algebra is in tests/property/test_state_machine.py."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from clarion.compliance.suppression import SuppressionReason
from clarion.contracts.channels import Channel
from clarion.contracts.statuses import Status
from clarion.delivery.model import Receipt
from clarion.delivery.receipts import (
    MAX_DEFERRALS,
    MAX_DETAIL,
    Addressee,
    Consequences,
    Silence,
    Tracked,
    clipped,
    consequences_of,
    fold_receipts,
    settles,
)

TENANT = b"t" * 16
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
    noted = fold_receipts({ADA: Tracked("delivered", 100)}, [receipt("failed")]).changed
    assert noted[ADA].status == "delivered"
    assert fold_receipts({ADA: Tracked("sent")}, [receipt("failed")]).changed == {
        ADA: Tracked("failed", notes=frozenset({("failed", 100)}))
    }


def test_a_complaint_proves_the_delivery_and_is_noted_each_time_that_it_is_made():
    first, second = receipt("complained", 1), receipt("complained", 2)
    folded = fold_receipts({ADA: Tracked("sent")}, [first, second, first])
    notes = frozenset({("complained", 1), ("complained", 2)})
    assert folded.changed == {ADA: Tracked("delivered", notes=notes)}
    assert folded.noted == [first, second]


def test_a_complaint_about_an_engaged_delivery_is_noted_although_its_status_stays():
    folded = fold_receipts({ADA: Tracked("engaged", 1, 2)}, [receipt("complained")])
    assert folded.changed == {ADA: Tracked("engaged", 1, 2, frozenset({("complained", 100)}))}
    assert folded.noted == [receipt("complained")]


def test_a_repeat_of_what_is_noted_has_no_consequences():
    before = Tracked("delivered", notes=frozenset({("complained", 100)}))
    folded = fold_receipts({ADA: before}, [receipt("complained")])
    assert (folded.changed, folded.noted) == ({}, [])


def test_servers_that_say_later_for_days_do_not_fill_the_log():
    folded = fold_receipts({ADA: Tracked("sent")}, [receipt("deferred", at_ms) for at_ms in range(500)])
    assert len(folded.changed[ADA].notes) == len(folded.noted) == MAX_DEFERRALS
    assert folded.changed[ADA].status == "sent"


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("sent", "unknown", "sent"),
        ("sent", "delivered", "delivered"),
        ("deferred", "sent", "sent"),
        ("bounced", "sent", "failed"),
        ("bounced", "delivered", "delivered"),
        ("unsubscribed", "sent", "sent"),
        ("resubscribed", "failed", "failed"),
        ("opened", "delivered", "engaged"),
        ("machine", "sent", "delivered"),
    ],
)
def test_what_each_kind_proves(kind: str, before: Status, after: Status):
    changed = fold_receipts({ADA: Tracked(before)}, [receipt(kind)]).changed
    assert changed.get(ADA, Tracked(before)).status == after


def test_what_it_really_cost_is_the_higher_of_what_is_said_at_once():
    said = [replace(receipt("sent"), cost_micros=0), replace(receipt("delivered"), cost_micros=7_900)]
    assert fold_receipts({ADA: Tracked("sent")}, said).costs == {ADA: 7_900}


@pytest.mark.parametrize("is_sending", [True, False])
@pytest.mark.parametrize("kind", ["sent", "delivered", "opened", "complained", "bounced"])
def test_what_arrived_or_never_can_ends_an_open_delivery(kind: str, is_sending: bool):  # noqa: FBT001  a parameter of pytest
    assert settles(receipt(kind), is_sending=is_sending)


def test_that_an_attempt_failed_ends_it_only_where_nobody_knew_so_far():
    assert settles(receipt("failed"), is_sending=True)
    assert not settles(receipt("failed"), is_sending=False)
    assert not settles(receipt("deferred"), is_sending=True)


def addressed(channel: Channel) -> dict[bytes, Addressee]:
    return {ADA: Addressee(TENANT, 7, channel, "offers", "provider:acme")}


@pytest.mark.parametrize(
    ("kind", "channel", "reason"),
    [
        ("bounced", "email", "hard_bounce"),
        ("complained", "email", "complaint"),
        ("unsubscribed", "sms", "stop"),
        ("bounced", "sms", "hard_bounce"),
    ],
)
def test_dead_addresses_complaints_and_stops_silence_a_channel(
    kind: str, channel: Channel, reason: SuppressionReason
):
    said = replace(receipt(kind), address_hmac=b"h")
    found = consequences_of([said], addressed(channel))
    assert found == {TENANT: Consequences([Silence(7, channel, reason, b"h")], [])}


def test_unsubscribing_from_mail_refuses_what_can_be_refused_and_silences_nothing():
    (word,) = consequences_of([receipt("unsubscribed")], addressed("email"))[TENANT].words
    assert (word.category, word.channel, word.consented, word.express) == ("*", "email", False, False)
    assert (word.source, word.given_ms) == ("provider:acme", 100)


def test_coming_back_is_an_express_word_on_the_category_of_the_message():
    (word,) = consequences_of([receipt("resubscribed")], addressed("sms"))[TENANT].words
    assert (word.category, word.channel, word.consented, word.express) == ("offers", "sms", True, True)


def test_a_failure_a_deferral_and_a_test_have_no_consequences():
    assert consequences_of([receipt("failed"), receipt("deferred")], addressed("email")) == {}
    assert consequences_of([receipt("bounced")], {}) == {}


def test_a_receipt_is_kept_with_nothing_that_a_store_refuses_and_not_from_the_future():
    said = replace(receipt("failed", 9_000), detail="a\0b\ud800" + "x" * 900, code="5.1.1\n")
    kept = clipped(said, 1_000)
    assert (kept.at_ms, kept.code, len(kept.detail)) == (1_000, "5.1.1 ", MAX_DETAIL)
    assert kept.detail.startswith("a b x")


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
