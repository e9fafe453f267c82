"""Whatever servers and callers do, in whatever order: a reply goes to its own request, and no connection is lost."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.adapters.egress import EgressGuard
from clarion.adapters.providers.base import Cut, Unavailable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.pool import PoolLimits
from clarion.adapters.providers.http.transport import Transport
from clarion.testing.vendors.wire import DROP, HANG, Raw, Step, serve

LOOPBACK: Final = [ipaddress.ip_network("127.0.0.0/8")]
SIZE: Final = 3
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

FAULTS: Final[dict[str, Step]] = {
    "drop": DROP,
    "hang": HANG,
    "garbage": Raw(b"\x00\x01\x02"),
    "twice": Raw(OK + OK),
    "farewell": Raw(OK, "close"),
    "closing": HttpReply(200, {"Connection": "close"}, b"ok"),
    "half": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "close"),
}


class Parrot:
    """Says what it was told."""

    def answer(self, request: HttpRequest) -> HttpReply:
        return HttpReply(200, {}, request.body)


async def play(faults: Sequence[str | None], patience_ms: Sequence[int]) -> None:
    transport = Transport(EgressGuard(LOOPBACK).resolve, limits=PoolLimits(size=SIZE))
    async with serve(Parrot()) as server:
        steps = iter(faults)

        async def call(number: int, patience: int) -> None:
            if (fault := next(steps, None)) is not None:
                server.script.append(FAULTS[fault])
            body = b"request %d" % number
            request = HttpRequest("POST", server.url, {}, body)
            try:
                async with asyncio.timeout(patience / 1000):
                    reply = await transport.exchange(request, lambda: None, 0.05)
            except (Cut, Unavailable, TimeoutError):
                return
            assert reply.body in {body, b"ok"}

        await asyncio.gather(*(call(number, patience) for number, patience in enumerate(patience_ms)))
        assert transport.connections <= SIZE
        assert len(server.sessions) <= SIZE + len(faults)
        # Every place is free again: as many calls as there are connections go through at the same time.
        server.script.clear()
        requests = [HttpRequest("POST", server.url, {}, b"last %d" % number) for number in range(SIZE * 2)]
        replies = await asyncio.gather(*(transport.exchange(one, lambda: None, 5) for one in requests))
        assert [reply.body for reply in replies] == [one.body for one in requests]
        await transport.close()
        assert transport.connections == 0


@settings(max_examples=25)
@given(
    faults=st.lists(st.sampled_from([None, *FAULTS]), max_size=12),
    patience_ms=st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_replies_are_never_mixed_up_and_places_never_lost(faults: list[str | None], patience_ms: list[int]):
    asyncio.run(play(faults, patience_ms))
