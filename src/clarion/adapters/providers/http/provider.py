"""The sequence of a send over HTTP, around a vendor's two translations.

    flights ─▶ calls_of (messages → requests) ─▶ exchange, `concurrency` at a time ─▶ outcomes_of (reply → outcomes)

An adapter says which messages share a call, and what a reply means; reaching the vendor, time, size, what had left when
it broke, and statuses that mean the same everywhere are settled here.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from clarion.adapters.providers.base import CALL_DEADLINE_S, BaseProvider, Cut, Flight
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest, HttpTransport
from clarion.adapters.providers.http.limits import limits_of
from clarion.delivery.model import Capabilities, Outcome, RateLimits
from clarion.tenancy.config import ProviderConfig


class Call(msgspec.Struct, frozen=True, gc=False):
    """One request, and the messages that it carries."""

    request: HttpRequest
    flights: Sequence[Flight]


class HttpProvider(BaseProvider):
    """A vendor's account that is spoken to over HTTP. An adapter fills in `_calls_of` and `_outcomes_of`."""

    def __init__(
        self,
        config: ProviderConfig,
        capabilities: Capabilities,
        transport: HttpTransport,
        deadline_s: float = CALL_DEADLINE_S,
    ) -> None:
        super().__init__(config, capabilities, deadline_s)
        self._transport = transport
        self._learned: RateLimits | None = None

    @property
    def learned(self) -> RateLimits | None:
        """What the headers of the vendor's replies said last of its limits."""
        return self._learned

    @abstractmethod
    def _calls_of(self, flights: Sequence[Flight]) -> list[Call]:
        """The requests that carry these messages. A message that cannot be carried gets its `outcome` instead."""

    @abstractmethod
    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        """What a reply says of each message of its call, in order. Raises for all of them alike (`base`'s errors)."""

    async def _prepare(self) -> None:
        """Get what requests need that must be asked for, such as a fresh token. Raises as `_transmit` may."""

    async def _transmit(self, flights: Sequence[Flight]) -> None:
        await self._prepare()
        calls = self._calls_of(flights)
        waiting = iter(calls)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._capabilities.concurrency, len(calls))):
                group.create_task(self._work_off(waiting))

    async def _work_off(self, waiting: Iterator[Call]) -> None:
        loop = asyncio.get_running_loop()
        for call in waiting:
            began_s = loop.time()
            try:
                outcomes = await self._make(call)
            except Exception as error:  # noqa: BLE001  one call's trouble must not reach the others
                outcomes = [self._outcome_of(error, flight) for flight in call.flights]
            took_ms = (loop.time() - began_s) * 1000
            for flight, outcome in zip(call.flights, outcomes, strict=True):
                flight.outcome = replace(outcome, took_ms=took_ms)

    async def _make(self, call: Call) -> list[Outcome]:
        def leave() -> None:
            for flight in call.flights:
                flight.committed = True

        reply = await self._transport.exchange(call.request, leave, self._deadline_s)
        self._learned = limits_of(reply.headers) or self._learned
        outcomes = self._outcomes_of(call, reply)
        if len(outcomes) != len(call.flights):
            raise Cut("the reply speaks of another number of messages than were sent", "unreadable_reply")
        return outcomes

    async def _release(self) -> None:
        """Nothing: the transport is shared, and whoever made it closes it."""
