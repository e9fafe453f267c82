from __future__ import annotations

import pytest

from clarion.contracts.work import sibling_ids
from clarion.kernel.ids import block_range, created_ms, hash64, make_block, make_ids, split_ids

AT_MS = 1_790_000_000_123


@pytest.mark.parametrize("count", [1, 2, 500, 50_000])
def test_a_blocks_ids_differ_and_lie_in_its_range_with_all_their_deliveries(count: int):
    ids = split_ids(make_block(count, AT_MS))
    low, high = block_range(ids[count // 2])
    assert len(set(ids)) == count
    assert all(low <= ident <= high for one in ids[:500] for ident in (one, *sibling_ids(one)))


def test_they_are_version_7_of_their_millisecond_with_room_for_channels():
    for ident in split_ids(make_block(100, AT_MS)):
        assert created_ms(ident) == AT_MS
        assert ident[6] >> 4 == 7
        assert ident[8] >> 6 == 0b10
        assert ident[15] & 0x0F == 0


def test_two_blocks_and_others_of_one_millisecond_do_not_overlap():
    ranges = [block_range(make_block(3, AT_MS)[:16]) for _ in range(100)]
    loose = split_ids(make_ids(1000, AT_MS))
    assert len(set(ranges)) == 100
    assert not any(low <= ident <= high for low, high in ranges for ident in loose)


def test_neighbours_in_a_block_draw_different_lots():
    """Jitter and routing take the ids' low bits for chance."""
    lots = [(hash64(ident) >> 4) % 10 for ident in split_ids(make_block(1000, AT_MS))]
    assert all(60 < lots.count(lot) < 140 for lot in range(10))
