"""What is known at an instant is of what came before it, and of nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from clarion.intelligence.features import Signs, compute
from clarion.intelligence.features.history import Memory, replay
from clarion.kernel.local_time import DAY_MS, HOUR_MS

START_MS = 20_241 * DAY_MS
USERS = list(range(1, 40))
INSTANTS = [START_MS + int(day * DAY_MS) for day in (0, 0.5, 3, 3, 10, 19.9, 25)]


def world(seed: int, count: int = 3_000) -> Signs:
    dice = np.random.default_rng(seed)
    return Signs(
        dice.choice(USERS, count),
        dice.integers(0, 6, count),
        dice.integers(0, 3, count),
        np.sort(START_MS + dice.integers(0, 20 * DAY_MS, count)),
        dice.choice([-9, 0, 5], count) * HOUR_MS,
        dice.integers(1, 2**62, count).astype(np.uint64),
    )


async def in_portions(signs: Signs, sizes: Sequence[int]) -> AsyncIterator[Signs]:
    begin = 0
    for size in sizes:
        yield signs.where(np.arange(begin, min(begin + size, len(signs))))
        begin += size
    yield signs.where(np.arange(begin, len(signs)))


async def known(signs: Signs, instants: Sequence[int], sizes: Sequence[int] = ()) -> list[np.ndarray]:
    """The features of all users at each instant."""
    return [
        compute(memory.read(USERS, at_ms), at_ms)
        async for at_ms, memory in replay(in_portions(signs, sizes), instants)
    ]


async def test_features_at_an_instant_do_not_change_when_anything_at_it_or_after_it_does() -> None:
    told = world(1)
    before = await known(told, INSTANTS)
    assert len(before) == len(INSTANTS)
    for index, at_ms in enumerate(INSTANTS):
        later = told.at_ms >= at_ms
        another = replace(
            told,
            kind=np.where(later, (told.kind + 1) % 6, told.kind),
            user_id=np.where(later, told.user_id[::-1], told.user_id),
            channel=np.where(later, 2 - told.channel, told.channel),
        )
        changed = await known(another, INSTANTS)
        np.testing.assert_array_equal(changed[index], before[index])
    assert not np.array_equal(before[1], before[2])


async def test_how_history_is_cut_makes_no_difference() -> None:
    told = world(2)
    whole = await known(told, INSTANTS)
    for sizes in ([1, 0, 700, 1, 299], [1_500], [3_000]):
        for one, other in zip(await known(told, INSTANTS, sizes), whole, strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


async def test_all_at_once_is_what_was_told_bit_by_bit() -> None:
    told = world(3)
    memory = Memory()
    memory.take(told)
    (at_last,) = await known(told, [START_MS + 30 * DAY_MS])
    now_ms = START_MS + 30 * DAY_MS
    np.testing.assert_allclose(compute(memory.read(USERS, now_ms), now_ms), at_last, rtol=2e-3, atol=2e-3)
    assert len(memory) == len(np.unique(told.user_id))


def test_a_memory_grows_and_knows_no_strangers() -> None:
    memory = Memory()
    told = world(4)
    many = replace(told, user_id=np.arange(len(told)) + 1)
    memory.take(many)
    assert len(memory.records) == len(told)
    record = memory.read([len(told) + 5, 2], START_MS + 30 * DAY_MS)
    assert record["user_id"].tolist() == [len(told) + 5, 2]
    assert (record["seen_ms"] > 0).tolist() == [False, bool(memory.read([2], START_MS)["seen_ms"][0])]


@pytest.mark.parametrize("told", [world(5, 0), world(5, 1)])
async def test_of_almost_nothing_almost_nothing_is_known(told: Signs) -> None:
    for features in await known(told, [START_MS, START_MS + 30 * DAY_MS]):
        assert np.isfinite(features).all()
