"""`FeatureStore`: what folding may rely on when it reads and writes records, whichever store holds them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.intelligence.features import FeatureStore, RecordArray, SignKind, Signs, empty_records, fold
from clarion.kernel.clock import StoreClock
from clarion.testing.features import InMemoryFeatures

pytestmark = pytest.mark.asyncio(loop_scope="session")

Make: TypeAlias = Callable[[int], FeatureStore]
"""Makes the store under test, with the milliseconds for which it keeps a forgotten user out."""

_users = itertools.count(int.from_bytes(os.urandom(4), "big") << 16)


@pytest.fixture
def make(clients: ValkeyClients | None) -> Make:
    def make(guard_ms: int) -> FeatureStore:
        if clients is None:
            return InMemoryFeatures(StoreClock(), guard_ms)
        return ValkeyFeatures(clients, guard_ms=guard_ms, timeout_s=5)

    return make


@pytest.fixture
def store(make: Make) -> FeatureStore:
    return make(10_000)


def new_users(count: int) -> list[int]:
    return [next(_users) for _ in range(count)]


def with_a_send(records: RecordArray, at_ms: int = 1_750_000_000_000) -> RecordArray:
    """Each record with one more send."""
    count = len(records)
    sent, push, at, offset = (np.full(count, value, np.int64) for value in (SignKind.SENT, 1, at_ms, 0))
    return fold(records, Signs(records["user_id"], sent, push, at, offset, np.zeros(count, np.uint64)))


async def test_a_record_comes_back_as_it_was(store: FeatureStore):
    records = with_a_send(empty_records(new_users(3)))
    assert await store.write(records) == [True] * 3
    found = await store.read(records["user_id"].tolist())
    assert found.tobytes() == records.tobytes()
    found["sequence"] = 9  # what is read may be written to


async def test_records_come_in_the_order_asked_with_empty_ones_for_unknown_users(store: FeatureStore):
    users, others = new_users(1_500), new_users(1_500)
    records = with_a_send(empty_records(users))
    assert all(await store.write(records))
    asked = [user for pair in zip(users[::-1], others, strict=True) for user in pair]
    found = await store.read(asked)
    assert found["user_id"].tolist() == asked
    assert (found["sent"][::2, 0, 1] == 1).all()
    assert not found["as_of_ms"][1::2].any()


async def test_nobody_is_no_trouble(store: FeatureStore):
    assert len(await store.read([])) == 0
    assert await store.write(empty_records([])) == []
    await store.drop([])


async def test_who_was_overtaken_is_refused(store: FeatureStore):
    users = new_users(2)
    read = await store.read(users)
    assert await store.write(with_a_send(read)) == [True, True]
    assert await store.write(with_a_send(read)) == [False, False]
    again = with_a_send(await store.read(users))
    assert again["sent"][:, 0, 1].tolist() == [2, 2]
    mixed = np.concatenate([again[:1], with_a_send(read)[1:]])
    assert await store.write(mixed) == [True, False]


async def test_what_was_lost_takes_what_was_restored(store: FeatureStore):
    (user,) = new_users(1)
    restored = with_a_send(with_a_send(empty_records([user])))
    assert restored["sequence"][0] == 2
    assert await store.write(restored) == [True]
    assert await store.write(restored) == [False]


async def test_the_forgotten_are_kept_out_for_a_while(store: FeatureStore):
    users = new_users(2)
    records = with_a_send(empty_records(users))
    assert all(await store.write(records))
    await store.drop(users[:1])
    found = await store.read(users)
    assert found["as_of_ms"].tolist() == [0, records["as_of_ms"][1]]
    assert await store.write(with_a_send(found)) == [False, True]
    assert await store.write(with_a_send(records)) == [False, False]


async def test_the_guard_ends(make: Make):
    store = make(1)
    (user,) = new_users(1)
    await store.drop([user])
    record = with_a_send(empty_records([user]))
    while await store.write(record) != [True]:
        pass
    assert (await store.read([user])).tobytes() == record.tobytes()
