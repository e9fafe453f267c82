"""`api`: single notifications over HTTP, against an empty Litestar handler of the same body, served the same way.

64 kept connections, each with one request under way; the generator has a process of its own and no more to do than to
tell a 201 from another answer. The worker is stopped meanwhile: what is measured is the way from the socket to the
commit and back. Rounds of both take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from itertools import cycle
from typing import Final, cast

import msgspec
import uvloop

from bench.campaign import notification, prepare
from bench.harness import Result, finish, median, percentile, raw_request, run_in_process, say
from clarion.testing.instance import clarion_up

BAR: Final = 0.4
ROUNDS: Final = 5
CONNECTIONS: Final = 64
DIFFERENT: Final = 2_000
WARM_UP_S: Final = 1.0
ROUND_S: Final = 4.0

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_CREATED: Final = b"HTTP/1.1 201"


class Load(msgspec.Struct, frozen=True):
    """What a round came to."""

    rate: float
    spans: list[float]


class _Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: cycle[bytes], spans: list[float]) -> None:
        self._requests = requests
        self._spans = spans
        self._received = b""
        self._began = 0.0
        self.refused = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_END)
        if end < 0:
            return
        at = self._received.find(_LENGTH) + len(_LENGTH)
        length = int(self._received[at : self._received.find(b"\r\n", at)])
        if len(self._received) < end + len(_END) + length:
            return
        if not self._received.startswith(_CREATED):
            self.refused = self._received
        self._received = b""
        self._spans.append(time.perf_counter() - self._began)
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(next(self._requests))


def run() -> Result:
    """Alternate ROUNDS times between the empty handler and the API; the ratio of the medians."""
    with clarion_up() as instance, _empty_handler() as port:
        prepare(instance)
        worker = instance.pid_of("worker")
        os.kill(worker, signal.SIGSTOP)
        try:
            requests = [
                raw_request(instance, "POST", "/api/v1/notifications", notification(number))
                for number in range(DIFFERENT)
            ]
            empty: list[float] = []
            ours: list[float] = []
            spans: list[float] = []
            for number in range(ROUNDS):
                empty.append(run_in_process(_load, ("127.0.0.1", port), requests).rate)
                load = run_in_process(_load, instance.address, requests)
                ours.append(load.rate)
                spans += load.spans
                say(f"round {number + 1}: {ours[-1]:,.0f} requests/s, empty handler {empty[-1]:,.0f}")
        finally:
            os.kill(worker, signal.SIGCONT)
    value, baseline = median(ours), median(empty)
    return finish(
        Result(
            "api",
            round(value),
            "requests/s",
            f"ratio ≥ {BAR}",
            value / baseline >= BAR,
            baseline=round(baseline),
            ratio=round(value / baseline, 3),
            p50_ms=round(percentile(spans, 0.5) * 1000, 1),
            p99_ms=round(percentile(spans, 0.99) * 1000, 1),
            detail={"connections": CONNECTIONS, "rounds": [round(rate) for rate in ours]},
        )
    )


@contextlib.contextmanager
def _empty_handler() -> Generator[int]:
    """The baseline's server in a process of its own; its port."""
    command = [sys.executable, "-m", "bench.empty_handler"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline() if process.stdout else "")


def _load(address: tuple[str, int], requests: Sequence[bytes]) -> Load:
    return uvloop.run(_generate(address, requests))


async def _generate(address: tuple[str, int], requests: Sequence[bytes]) -> Load:
    loop = asyncio.get_running_loop()
    waiting, spans = cycle(requests), list[float]()
    connections = [_Connection(waiting, spans) for _ in range(CONNECTIONS)]
    for connection in connections:
        await loop.create_connection(lambda mine=connection: mine, *address)
    await asyncio.sleep(WARM_UP_S)
    spans.clear()
    began = time.perf_counter()
    await asyncio.sleep(ROUND_S)
    seconds = time.perf_counter() - began
    refused = [connection.refused for connection in connections if connection.refused]
    if refused:
        raise RuntimeError(refused[0][:500])
    return Load(len(spans) / seconds, list(spans))
