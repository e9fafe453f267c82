"""`SubjectKeys`: a key is there once it was added, stays the first one, and is gone when destroyed."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator

import pytest

from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.audience.ports import SubjectKeys
from clarion.testing.database import prepared_database
from clarion.testing.stores import shared_stores
from clarion.testing.subject_keys import InMemorySubjectKeys


@pytest.fixture(params=["memory", "postgres"])
async def keys(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[SubjectKeys]:
    if request.param == "memory":
        yield InMemorySubjectKeys()
        return
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        pools = await open_pools(await prepared_database(stores.postgres_url), size=4, name="tests")
        yield PostgresSubjectKeys(pools)
        await pools.close()


@pytest.fixture
def users() -> list[int]:
    """Three users whom no other test knows."""
    first = secrets.randbits(40) << 8
    return [first, first + 1, first + 2]


async def test_what_was_added_is_there(keys: SubjectKeys, users: list[int]):
    assert await keys.fetch(users) == {}
    assert await keys.add({users[0]: b"a", users[1]: b"b"}) == {users[0], users[1]}
    assert await keys.fetch([*users, users[0]]) == {users[0]: b"a", users[1]: b"b"}


async def test_the_first_key_stays(keys: SubjectKeys, users: list[int]):
    await keys.add({users[0]: b"a"})
    assert await keys.add({users[0]: b"other", users[1]: b"b"}) == {users[1]}
    assert await keys.fetch(users) == {users[0]: b"a", users[1]: b"b"}


async def test_of_many_at_once_one_key_stays(keys: SubjectKeys, users: list[int]):
    added = await asyncio.gather(*(keys.add({users[0]: bytes([n])}) for n in range(8)))
    (winner,) = [n for n, who in enumerate(added) if who]
    assert await keys.fetch(users) == {users[0]: bytes([winner])}


async def test_what_was_destroyed_is_gone(keys: SubjectKeys, users: list[int]):
    await keys.add({users[0]: b"a", users[1]: b"b"})
    await keys.destroy([users[0], users[2]])
    assert await keys.fetch(users) == {users[1]: b"b"}
    assert await keys.add({users[0]: b"new"}) == {users[0]}


async def test_nothing_is_no_error(keys: SubjectKeys):
    assert await keys.fetch([]) == {}
    assert await keys.add({}) == set()
    await keys.destroy([])
