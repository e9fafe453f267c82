"""The worker's metrics over HTTP: one answer to every request, on loopback unless told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from clarion.adapters.telemetry.metrics import Metrics
from clarion.settings import Settings

REQUEST_TIMEOUT_S: Final = 5.0
REQUEST_BYTES: Final = 8192


@asynccontextmanager
async def serve_metrics(metrics: Metrics, settings: Settings) -> AsyncGenerator[None]:
    """Serve the metrics on `settings.metrics_port` while the block runs; not at all where it is 0."""
    if not settings.metrics_port:
        yield
        return

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await reader.readuntil(b"\r\n\r\n")
            body = metrics.render()
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # the scraper went away, or was none
        finally:
            writer.close()

    server = await asyncio.start_server(answer, settings.host, settings.metrics_port, limit=REQUEST_BYTES)
    async with server:
        yield
