"""The baseline of `api`: a Litestar application with one empty handler, served as the API is.

`python -m bench.empty_handler` prints its port when it serves, and ends when its input does.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Final

import uvloop
from litestar import Litestar, post

from clarion.entrypoints.api.serve import Server

PATH: Final = "/api/v1/notifications"


@post(PATH)
async def empty() -> dict[str, str]:
    """Nothing: 201 with an empty object."""
    return {}


async def _serve() -> None:
    app = Litestar([empty], openapi_config=None, logging_config=None)
    server = Server(app, "127.0.0.1", 0, _say_port)
    asyncio.get_running_loop().add_reader(sys.stdin, server.stop)
    gc.collect()
    gc.freeze()
    await server.serve()


def _say_port(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_serve())
