"""SendGrid's double in a process that can be killed: `python -m bench.mortal FILE`.

The delivery ids of what it took are appended to FILE, 16 bytes each, before it answers: what it has taken is known
also after its death. The first line on stdout is the port's URL.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

import uvloop

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors import SendGridDouble, serve

LATENCY_S: Final = 0.05
"""Between what it writes down and its answer: calls that are cut there have been taken, and nobody knows."""


class Mortal(SendGridDouble):
    """Writes down what it takes."""

    def __init__(self, file: int) -> None:
        super().__init__()
        self._file = file

    def answer(self, request: HttpRequest) -> HttpReply:
        """The vendor's reply, when it is written down what it took."""
        before = self.taken
        reply = super().answer(request)
        latest = [self.arrived[i - (self.taken - before)] for i in range(self.taken - before)]
        os.write(self._file, b"".join(one["delivery_id"] for one in latest))
        return reply


async def _main(path: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with serve(Mortal(file)) as server:
        server.latency_s = LATENCY_S
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
