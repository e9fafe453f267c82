"""Signs into records: what counts, how much, and once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, SignKind, Signs, decayed, empty_records, fold
from clarion.kernel.local_time import DAY_MS, HOUR_MS

USER = 7
MONDAY_MS = 20_241 * DAY_MS  # 2 June 2025, 00:00 UTC
EMAIL, PUSH, NONE = 0, 1, -1

_idents = itertools.count(1)


class One(NamedTuple):
    """A sign, at hours after Monday's midnight."""

    kind: SignKind
    at_h: float
    channel: int = NONE
    user_id: int = USER
    offset_h: float = 0
    ident: int | None = None


def signs(*ones: One) -> Signs:
    idents = [next(_idents) if one.ident is None else one.ident for one in ones]
    return Signs(
        np.array([one.user_id for one in ones], np.int64),
        np.array([one.kind for one in ones], np.int64),
        np.array([one.channel for one in ones], np.int64),
        np.array([MONDAY_MS + round(one.at_h * HOUR_MS) for one in ones], np.int64),
        np.array([round(one.offset_h * HOUR_MS) for one in ones], np.int64),
        np.array(idents, np.uint64),
    )


def folded(*batches: Sequence[One]) -> RecordArray:
    records = empty_records([USER])
    for batch in batches:
        records = fold(records, signs(*batch))
    return records


def active(*at_h: float, offset_h: float = 0) -> list[One]:
    return [One(SignKind.ACTIVE, at, offset_h=offset_h) for at in at_h]


def assert_same(one: RecordArray, other: RecordArray) -> None:
    for name in (name for name in one.dtype.names or () if name not in {"sequence", "recent", "recent_at"}):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_presence_counts_the_local_hour_and_the_type_of_the_day() -> None:
    record = folded(active(9.5), active(24 * 5 + 22, offset_h=3.5))[0]  # Saturday 22:00 is Sunday 01:30 there
    assert record["presence"][1, 0, 9] == pytest.approx(2 ** (-(24 * 5 + 12.5) / 24 / 270))
    assert record["presence"][1, 1, 1] == 1
    assert record["presence"].sum(axis=(1, 2))[1] == pytest.approx(1.986, abs=0.001)


def test_presence_counts_once_an_hour_in_one_batch_and_over_several() -> None:
    together = folded(active(9.1, 9.2, 9.9, 10.1))
    apart = folded(active(9.1), active(9.2), active(9.9), active(10.1))
    assert together["active"][0, 2] == pytest.approx(2, abs=0.01)
    assert_same(together, apart)


def test_a_repeat_changes_nothing() -> None:
    opened = One(SignKind.OPENED, 9, EMAIL, ident=5)
    once = folded([opened])
    assert_same(folded([opened, opened], [opened]), once)
    again = fold(once, signs(opened))
    assert again.tobytes() == once.tobytes()


def test_without_an_id_every_sign_counts() -> None:
    sent = One(SignKind.SENT, 9, EMAIL, ident=0)
    assert folded([sent, sent])["sent"][0, 0, EMAIL] == 2


def test_of_more_ids_than_are_remembered_the_latest_are() -> None:
    many = [One(SignKind.SENT, i / 100, EMAIL, ident=100 + i) for i in range(40)]
    records = folded(many[:10], many[10:])
    assert_same(fold(records, signs(*many[-16:])), records)


def test_order_within_a_batch_changes_nothing() -> None:
    batch = [
        One(SignKind.SENT, 8, EMAIL),
        One(SignKind.OPENED, 9, EMAIL),
        One(SignKind.SENT, 10, PUSH),
        One(SignKind.OPENED, 30, PUSH),
        One(SignKind.CLICKED, 30, PUSH),
        One(SignKind.REFUSED, 31, EMAIL),
        *active(5, 17, 18),
    ]
    assert_same(folded(batch[::-1]), folded(batch))
    assert_same(folded(*([one] for one in sorted(batch, key=lambda one: one.at_h))), folded(batch))


def test_a_late_sign_counts_with_what_is_left_of_it() -> None:
    record = folded(active(24 * 14), active(0))[0]
    assert record["presence"][0, 0, 0] == pytest.approx(1 + 0.5)
    assert record["seen_ms"] == record["as_of_ms"] == MONDAY_MS + 14 * DAY_MS
    assert record["first_ms"] == MONDAY_MS


def test_sums_decay_by_their_half_lives_and_never_grow_back() -> None:
    records = folded([One(SignKind.SENT, 0, EMAIL), *active(0)])
    later = decayed(records, MONDAY_MS + 90 * DAY_MS)
    np.testing.assert_allclose(later["sent"][0, :, EMAIL], [2 ** (-90 / 7), 1 / 8, 1 / 2], rtol=1e-5)
    assert decayed(later, MONDAY_MS).tobytes() == later.tobytes()
    assert records["sent"][0, 0, EMAIL] == 1  # the argument is left alone


def test_answers_count_at_the_hour_of_the_send() -> None:
    one = folded([One(SignKind.SENT, 8, EMAIL), One(SignKind.OPENED, 13, EMAIL)])[0]
    assert one["exposed"][8] == pytest.approx(1, rel=1e-3)
    assert one["answered"][8] == pytest.approx(1)
    assert one["answered"].sum() == pytest.approx(1)
    apart = folded([One(SignKind.SENT, 8, EMAIL)], [One(SignKind.OPENED, 13, EMAIL)])[0]
    assert apart["answered"][8] == pytest.approx(1)
    late = folded([One(SignKind.SENT, 8, EMAIL)], [One(SignKind.OPENED, 8 + 73, EMAIL)])[0]
    assert not late["answered"].any()
    assert not folded([One(SignKind.SENT, 8, PUSH), One(SignKind.OPENED, 9, EMAIL)])[0]["answered"].any()


def test_machines_are_no_people() -> None:
    record = folded([One(SignKind.SENT, 8, EMAIL), One(SignKind.MACHINE, 8.01, EMAIL)])[0]
    assert record["machine"][EMAIL] == 1
    assert not record["presence"].any()
    assert not record["opened"].any()
    assert record["seen_ms"] == 0


def test_travel_to_the_west_repeats_local_hours_that_count_by_the_order_of_events() -> None:
    there = folded(active(9.0, 9.5), active(10.0, 10.2, offset_h=-9), active(10.4, 10.6, offset_h=-9))[0]
    assert there["active"][2] == pytest.approx(2, abs=0.01)
    assert there["presence"][0, 0, [9, 1]] == pytest.approx([1, 1], abs=0.01)


def test_a_bot_around_the_clock_counts_an_hour_at_most_once() -> None:
    record = folded(*(active(*(day * 24 + np.arange(0, 24, 0.1))) for day in range(5)))[0]
    assert record["active"][2] == pytest.approx(120, rel=0.02)
    assert record["presence"][1, 0].min() == pytest.approx(record["presence"][1, 0].max(), rel=0.02)


def test_gaps_are_between_visits() -> None:
    record = folded(active(0, 1, 2, 24, 25), active(48))[0]
    mean_h = record["gap_h"][0] / record["gap_h"][1]
    assert mean_h == pytest.approx(22.5, abs=0.1)


def test_signs_of_others_and_from_before_time_are_left_out() -> None:
    records = empty_records([USER, 3])
    out = fold(records, signs(One(SignKind.ACTIVE, 1, user_id=9), One(SignKind.ACTIVE, 1e9 * -1)))
    assert out.tobytes() == records.tobytes()


def test_nothing_in_nothing_out() -> None:
    assert fold(empty_records([]), signs(One(SignKind.ACTIVE, 1))).shape == (0,)
    records = empty_records([USER])
    assert fold(records, signs()).tobytes() == records.tobytes()


def test_each_user_gets_her_own() -> None:
    records = fold(
        empty_records([9, 3, 5]),
        signs(
            One(SignKind.SENT, 1, EMAIL, user_id=3),
            One(SignKind.SENT, 2, PUSH, user_id=9),
            One(SignKind.ACTIVE, 3, user_id=3),
        ),
    )
    assert records["user_id"].tolist() == [9, 3, 5]
    assert records["sequence"].tolist() == [1, 1, 0]
    assert records["sent"][:, 0].tolist() == [[0, 1, 0], pytest.approx([1, 0, 0], rel=0.02), [0, 0, 0]]
    assert records["as_of_ms"].tolist() == [MONDAY_MS + 2 * HOUR_MS, MONDAY_MS + 3 * HOUR_MS, 0]


def test_a_million_events_of_one_user_are_one_record() -> None:
    count = 1_000_000
    at_ms = MONDAY_MS + np.linspace(0, 60 * DAY_MS, count).astype(np.int64)
    many = Signs(
        np.full(count, USER, np.int64),
        np.full(count, SignKind.ACTIVE, np.int64),
        np.full(count, PUSH, np.int64),
        at_ms,
        np.zeros(count, np.int64),
        np.arange(1, count + 1, dtype=np.uint64),
    )
    record = fold(empty_records([USER]), many)[0]
    assert 0 < record["active"][2] < 60 * 24
    assert np.isfinite(record["touched"]).all()
