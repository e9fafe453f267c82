"""The baseline of `api`: a Litestar handler that takes the same body and does nothing, served as the API is.

`python -m bench.empty_handler` prints its port when it serves, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

import uvloop
from litestar import Litestar, post

from clarion.contracts.commands import NotificationRequest
from clarion.entrypoints.api.serve import Server
from clarion.entrypoints.tuning import settle_memory

PATH: Final = "/api/v1/notifications"


@post(PATH)
async def empty(data: NotificationRequest) -> dict[str, str]:
    """Nothing with a request that was decoded and checked: 201 with an empty object."""
    del data
    return {}


async def _serve() -> None:
    app = Litestar([empty], openapi_config=None, logging_config=None)
    server = Server(app, "127.0.0.1", 0, _say_port)
    asyncio.get_running_loop().add_reader(sys.stdin, server.stop)
    settle_memory()
    await server.serve()


def _say_port(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_serve())
