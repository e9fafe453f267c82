"""Whatever news arrives, in whatever order and however often, a delivery only moves forward."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import permutations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.contracts.statuses import TERMINAL, Status
from clarion.delivery.model import Receipt
from clarion.delivery.receipts import RECEIPT_STATUS, Tracked, fold_receipts
from clarion.delivery.state_machine import RANK, advance, notification_status, rank_arrays, rank_case

STATUSES: tuple[Status, ...] = get_args(Status)
EVIDENCE: tuple[Status, ...] = ("sent", "failed", "delivered", "engaged")

statuses = st.sampled_from(STATUSES)
evidence = st.sampled_from(EVIDENCE)


def fold(start: Status, news: list[Status] | tuple[Status, ...]) -> Status:
    status = start
    for incoming in news:
        status = advance(status, incoming) or status
    return status


def test_every_status_has_a_rank():
    assert set(RANK) == set(STATUSES)


@given(statuses, statuses)
def test_no_news_lowers_the_rank(current: Status, incoming: Status):
    after = advance(current, incoming)
    assert after is None or RANK[after] >= RANK[current]


@given(statuses, statuses)
def test_the_same_news_twice_is_the_news_once(current: Status, incoming: Status):
    after = advance(current, incoming) or current
    assert advance(after, incoming) is None


@given(
    statuses,
    st.lists(evidence, max_size=5).flatmap(lambda news: st.tuples(st.just(news), st.permutations(news))),
)
def test_evidence_counts_the_same_in_any_order(start: Status, orders: tuple[list[Status], list[Status]]):
    assert fold(start, orders[0]) == fold(start, orders[1])


@given(st.sampled_from(sorted(TERMINAL)), statuses)
def test_what_is_over_never_becomes_open_again(current: Status, incoming: Status):
    assert (advance(current, incoming) or current) in TERMINAL


@given(statuses, st.lists(statuses, max_size=20))
def test_delivered_is_never_taken_back(start: Status, news: list[Status]):
    assert fold(start, ["delivered", *news]) in {"delivered", "engaged"}


@pytest.mark.parametrize("current", ["unknown", "expired", "cancelled", "blocked"])
@pytest.mark.parametrize("proof", EVIDENCE)
def test_a_providers_word_settles_what_we_only_assumed(current: Status, proof: Status):
    assert advance(current, proof) == proof


@pytest.mark.parametrize(
    ("current", "incoming"), list(permutations(["unknown", "expired", "cancelled", "blocked"], 2))
)
def test_one_assumption_does_not_replace_another(current: Status, incoming: Status):
    assert advance(current, incoming) is None


def test_an_open_delivery_may_be_sending_and_retrying_in_turns():
    assert fold("queued", ["sending", "retrying", "sending"]) == "sending"
    assert fold("scheduled", ["deferred", "queued"]) == "queued"
    assert advance("sending", "queued") is None


@given(st.lists(statuses, min_size=1, max_size=4))
def test_a_notification_is_as_far_as_its_most_advanced_delivery(deliveries: list[Status]):
    status = notification_status(deliveries)
    assert status in deliveries
    assert (status == "blocked") == (set(deliveries) == {"blocked"})
    assert status == notification_status(deliveries[::-1])


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        (["failed", "queued"], "queued"),
        (["blocked", "deferred"], "deferred"),
        (["sent", "sending"], "sent"),
        (["unknown", "failed"], "unknown"),
        (["delivered", "engaged", "blocked"], "engaged"),
    ],
    ids=str,
)
def test_a_channel_that_may_still_arrive_outweighs_one_that_failed(
    deliveries: list[Status], expected: Status
):
    assert notification_status(deliveries) == expected


def test_a_notification_without_deliveries_has_no_status():
    with pytest.raises(ValueError, match="empty"):
        notification_status([])


def test_sql_ranks_as_python_does():
    names, ranks = rank_arrays()
    assert dict(zip(names, ranks, strict=True)) == RANK
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE n (status TEXT)")
        database.executemany("INSERT INTO n VALUES (?)", [(status,) for status in STATUSES])
        query = f"SELECT status, {rank_case('n.status')} FROM n"  # noqa: S608  the expression under test
        assert dict(database.execute(query).fetchall()) == RANK


# ---------------------------------------------------------------------------------------------------- folding receipts

ids = st.sampled_from([bytes([n]) * 16 for n in range(3)])
receipts = st.builds(
    Receipt,
    st.text("abc", max_size=2),
    ids,
    st.sampled_from(sorted(RECEIPT_STATUS)),
    st.integers(1, 99),
    cost_micros=st.none() | st.integers(0, 9),
)
batches = st.lists(receipts, max_size=8).flatmap(
    lambda batch: st.tuples(st.just(batch), st.permutations(batch))
)
known = st.dictionaries(ids, st.builds(Tracked, statuses, st.none() | st.integers(1, 99), st.none()))


@given(known, batches)
def test_receipts_fold_the_same_in_any_order(
    known: dict[bytes, Tracked], orders: tuple[list[Receipt], list[Receipt]]
):
    first, second = (fold_receipts(known, order) for order in orders)
    assert first.changed == second.changed
    assert first.costs == second.costs


@given(known, batches)
def test_receipts_fold_to_nothing_the_second_time(
    known: dict[bytes, Tracked], orders: tuple[list[Receipt], list[Receipt]]
):
    once = fold_receipts(known, orders[0])
    assert fold_receipts(known | once.changed, orders[1]).changed == {}


@given(known, batches)
def test_folding_in_parts_is_folding_at_once(
    known: dict[bytes, Tracked], orders: tuple[list[Receipt], list[Receipt]]
):
    batch = orders[0]
    half = fold_receipts(known, batch[: len(batch) // 2]).changed
    rest = fold_receipts(known | half, batch[len(batch) // 2 :]).changed
    assert half | rest == fold_receipts(known, batch).changed


@given(known, batches)
def test_each_receipt_is_folded_or_reported(
    known: dict[bytes, Tracked], orders: tuple[list[Receipt], list[Receipt]]
):
    folded = fold_receipts(known, orders[0])
    assert folded.unmatched == [receipt for receipt in orders[0] if receipt.delivery_id not in known]
    assert all(after != known[ident] for ident, after in folded.changed.items())
