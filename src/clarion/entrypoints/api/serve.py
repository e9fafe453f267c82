"""The API's process: uvicorn inside a loop of ours: `python -m clarion.entrypoints.api.serve [--port N]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Final

import structlog
import uvicorn
import uvloop

from clarion.adapters.embedded import notify_ready
from clarion.adapters.telemetry.logs import configure_logs
from clarion.bootstrap import open_gateway
from clarion.entrypoints.api.app import create_app
from clarion.entrypoints.tuning import settle_memory
from clarion.kernel.errors import ClarionError
from clarion.settings import Settings, load_settings

if TYPE_CHECKING:
    import socket

    from litestar import Litestar

DRAIN_S: Final = 20
"""How long requests under way may take to end after SIGTERM; later ones are cancelled and answered 500."""

BACKLOG: Final = 2048
KEEP_ALIVE_S: Final = 75

_log = structlog.get_logger("api")


class Server(uvicorn.Server):
    """uvicorn with a word when it serves, and without its own signal handlers, which end the process by the signal."""

    def __init__(self, app: Litestar, host: str, port: int, on_ready: Callable[[int], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http="httptools",
                ws="none",
                lifespan="on",
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=DRAIN_S,
                access_log=False,
                proxy_headers=False,
                log_config=None,
                server_header=False,
                date_header=True,
            )
        )
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to the caller."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            self._on_ready(self.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Take no more requests, and end those that are under way within DRAIN_S."""
        self.should_exit = True


async def serve(settings: Settings, on_ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` is told the port. Raises as `open_gateway`."""
    async with open_gateway(settings) as gateway:
        server = Server(create_app(gateway), settings.host, settings.port, on_ready)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        settle_memory()
        await server.serve()
    _log.info("api_stopped")


def _say_ready(port: int) -> None:
    _log.info("api_ready", port=port)
    notify_ready()


def main(port: int | None = None, region: str | None = None) -> int:
    """Serve with the settings of this process until SIGTERM; the exit code."""
    try:
        settings = load_settings(port=port, region=region)
        configure_logs("api", settings.log_level)
        uvloop.run(serve(settings, _say_ready))
    except ClarionError as error:
        sys.stderr.write(f"clarion api: {error.detail}\n")
        return 1
    return 0


def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="clarion api")
    parser.add_argument("--port", type=int)
    return main(parser.parse_args(arguments).port)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
