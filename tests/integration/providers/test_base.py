"""What the base class makes of an adapter that does not do its part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from clarion.adapters.providers.base import BaseProvider, Flight, OneByOneProvider, Unavailable
from clarion.delivery.model import Capabilities, Outcome
from clarion.kernel.errors import Ambiguous, ClarionError, Conflict, Permanent, Throttled, Transient
from clarion.tenancy.config import ProviderConfig
from tests.integration.providers.support import TENANT, email, send_one

CONFIG = ProviderConfig("acme", TENANT, "acme", "email", {}, {})


class Acme(BaseProvider):
    """A vendor that does with a batch what a test says."""

    carries = frozenset({"subject", "text"})

    def __init__(self, act: Callable[[Sequence[Flight]], Awaitable[None]]) -> None:
        super().__init__(CONFIG, Capabilities("email", max_batch=100), deadline_s=0.2)
        self._act = act
        self.released = 0

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        await self._act(flights)

    async def _release(self) -> None:
        self.released += 1


async def raising(error: Exception, *, committed: bool = False) -> Outcome:
    async def act(flights: Sequence[Flight]) -> None:
        for flight in flights:
            flight.committed = committed
        raise error

    return await send_one(Acme(act))


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (Transient("later"), "transient", "transient"),
        (Unavailable("down", "maintenance"), "transient", "maintenance"),
        (Permanent("never"), "permanent", "permanent"),
        (Conflict("never"), "permanent", "conflict"),
        (Ambiguous("perhaps"), "ambiguous", "ambiguous"),
        (ZeroDivisionError("ada@example.org"), "transient", "ZeroDivisionError"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
async def test_an_error_is_an_outcome_by_its_kind(error: Exception, kind: str, code: str):
    outcome = await raising(error)
    assert (outcome.kind, outcome.code) == (kind, code)
    assert "example.org" not in outcome.detail
    assert outcome.detail == error.detail if isinstance(error, ClarionError) else True


async def test_throttling_carries_its_pause():
    outcome = await raising(Throttled("slower", 12.5))
    assert (outcome.kind, outcome.retry_after_s) == ("throttled", 12.5)


async def test_a_foreign_error_after_the_bytes_had_left_is_ambiguous():
    assert (await raising(OSError("reset"), committed=True)).kind == "ambiguous"


async def test_a_vendor_that_forgets_a_message_leaves_an_outcome_all_the_same():
    async def half(flights: Sequence[Flight]) -> None:
        flights[0].outcome = Outcome(flights[0].message.delivery_id, "sent", "id")
        flights[1].committed = True

    batch = [email() for _ in range(3)]
    outcomes = await Acme(half).send(batch)
    assert [outcome.kind for outcome in outcomes] == ["sent", "ambiguous", "transient"]
    assert [outcome.delivery_id for outcome in outcomes] == [message.delivery_id for message in batch]


async def test_the_deadline_ends_a_call_and_keeps_the_verdicts_it_got():
    async def slow(flights: Sequence[Flight]) -> None:
        flights[0].outcome = Outcome(flights[0].message.delivery_id, "permanent", code="no")
        flights[1].committed = True
        await asyncio.Event().wait()

    outcomes = await Acme(slow).send([email() for _ in range(3)])
    assert [(outcome.kind, outcome.code) for outcome in outcomes] == [
        ("permanent", "no"),
        ("ambiguous", "deadline"),
        ("transient", "deadline"),
    ]


async def test_content_that_the_vendor_cannot_carry_is_refused_by_name():
    async def never(_flights: Sequence[Flight]) -> None:
        pytest.fail("a refused message was transmitted")

    outcome = await send_one(Acme(never), html="<p>Hello")
    assert (outcome.kind, outcome.code) == ("permanent", "unsupported_content")
    assert outcome.detail == "acme cannot carry `html`"


async def test_close_releases_once():
    async def nothing(_flights: Sequence[Flight]) -> None: ...

    provider = Acme(nothing)
    await asyncio.gather(provider.close(), provider.close())
    await provider.close()
    assert provider.released == 1


class Single(OneByOneProvider):
    """A vendor that takes one message a call and fails those whose text is `bad`."""

    def __init__(self) -> None:
        super().__init__(CONFIG, Capabilities("email", max_batch=100, concurrency=3))
        self.at_a_time = 0
        self._under_way = 0

    async def _transmit_one(self, flight: Flight) -> Outcome:
        self._under_way += 1
        self.at_a_time = max(self.at_a_time, self._under_way)
        await asyncio.sleep(0)
        self._under_way -= 1
        if flight.message.text == "bad":
            msg = "no"
            raise ValueError(msg)
        return self._sent(flight.message, "id")

    async def _release(self) -> None: ...


async def test_one_by_one_keeps_the_order_the_concurrency_and_the_neighbours():
    provider = Single()
    batch = [email(text="bad" if n % 3 == 0 else "good") for n in range(20)]
    outcomes = await provider.send(batch)
    assert [outcome.delivery_id for outcome in outcomes] == [message.delivery_id for message in batch]
    assert [outcome.kind for outcome in outcomes] == [
        "transient" if n % 3 == 0 else "sent" for n in range(20)
    ]
    assert provider.at_a_time == 3
