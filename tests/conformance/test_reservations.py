"""`Reservations`: a user's daily allowance, kept by however many workers ask at once."""

from __future__ import annotations

import asyncio
import os
import secrets

import pytest

from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.delivery.ports import CapRequest, Reservations
from clarion.testing.valkey import InMemoryReservations

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def reservations(clients: ValkeyClients | None) -> Reservations:
    return InMemoryReservations() if clients is None else ValkeyReservations(clients)


@pytest.fixture
def user() -> int:
    return 1 << 48 | secrets.randbits(47)


def ask(user: int, limit: int = 3, *, scope: str = "marketing", day: int = 20260102) -> CapRequest:
    return CapRequest(os.urandom(16), user, scope, day, limit)


async def test_places_go_in_order_until_there_are_none(reservations: Reservations, user: int):
    requests = [ask(user) for _ in range(5)]
    assert await reservations.reserve(requests) == [True, True, True, False, False]
    assert await reservations.used(requests[:1]) == [3]


async def test_asking_again_takes_no_second_place(reservations: Reservations, user: int):
    first, second = ask(user, 2), ask(user, 2)
    assert await reservations.reserve([first, first]) == [True, True]
    assert await reservations.reserve([first, second]) == [True, True]
    assert await reservations.used([first]) == [2]


async def test_a_place_is_kept_when_the_limit_falls(reservations: Reservations, user: int):
    first = ask(user, 2)
    await reservations.reserve([first, ask(user, 2)])
    lower = CapRequest(first.delivery_id, user, first.scope, first.day, 0)
    assert await reservations.reserve([lower, ask(user, 1)]) == [True, False]


async def test_a_limit_of_none_gives_none_and_leaves_nothing(reservations: Reservations, user: int):
    request = ask(user, 0)
    assert await reservations.reserve([request]) == [False]
    assert await reservations.used([request]) == [0]


async def test_a_place_given_back_can_be_taken(reservations: Reservations, user: int):
    first, second = ask(user, 1), ask(user, 1)
    assert await reservations.reserve([first, second]) == [True, False]
    await reservations.release([first])
    assert await reservations.reserve([second]) == [True]
    await reservations.release([first, ask(user, 1)])
    assert await reservations.used([second]) == [1]


async def test_users_scopes_and_days_are_apart(reservations: Reservations, user: int):
    requests = [
        ask(user, 1),
        ask(user + 1, 1),
        ask(user, 1, scope="marketing:email"),
        ask(user, 1, scope="größe {x}"),
        ask(user, 1, day=20260103),
    ]
    assert await reservations.reserve(requests) == [True] * 5
    assert (
        await reservations.reserve([ask(r.user_id, 1, scope=r.scope, day=r.day) for r in requests])
        == [False] * 5
    )


async def test_answers_keep_the_order_of_a_large_batch(reservations: Reservations, user: int):
    requests = [ask(user + number % 200, 2) for number in range(500)]
    expected = [number < 400 for number in range(500)]
    assert await reservations.reserve(requests) == expected
    assert await reservations.used(requests) == [2] * 500
    await reservations.release(requests[:100])
    assert await reservations.used(requests[:200]) == [1] * 100 + [2] * 100


async def test_no_requests_are_no_trouble(reservations: Reservations):
    assert await reservations.reserve([]) == []
    assert await reservations.used([]) == []
    await reservations.release([])


async def test_workers_at_once_share_one_allowance(reservations: Reservations, user: int):
    batches = [[ask(user, 7) for _ in range(10)] for _ in range(10)]
    answers = await asyncio.gather(*(reservations.reserve(batch) for batch in batches))
    assert sum(sum(answer) for answer in answers) == 7
