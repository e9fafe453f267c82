"""What every bench shares: its result, requests to a running Clarion, progress on stderr."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Final

import msgspec

from clarion.testing.instance import Instance

START_TIMEOUT_S: Final = 120.0


class Result(msgspec.Struct, frozen=True):
    """One line of `bench/results.json`. Fields that do not apply are None. `ok`: every bar was reached."""

    bench: str
    value: float
    unit: str
    bar: str
    ok: bool
    baseline: float | None = None
    ratio: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    detail: dict[str, Any] = {}
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cores: int = 0


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def finish(result: Result) -> Result:
    """The result with the machine's load beside it."""
    return msgspec.structs.replace(result, load=os.getloadavg(), cores=os.cpu_count() or 0)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle of the values."""
    return statistics.median(values)


async def post_all(instance: Instance, requests: Sequence[bytes], connections: int) -> list[float]:
    """Send raw requests (`raw_request`) over kept connections; the seconds of each. Raises on a status ≥ 400."""
    waiting = iter(requests)
    spans: list[float] = []

    async def lane() -> None:
        reader, writer = await asyncio.open_connection(*instance.address)
        try:
            for request in waiting:
                began = time.perf_counter()
                writer.write(request)
                await _read_answer(reader)
                spans.append(time.perf_counter() - began)
        finally:
            writer.close()

    await asyncio.gather(*(lane() for _ in range(connections)))
    return spans


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    body = await reader.readexactly(length)
    if int(head[9:12]) >= 400:  # noqa: PLR2004  HTTP's errors
        msg = f"{head[:12]!r} {body[:500]!r}"
        raise RuntimeError(msg)
    return body


def raw_request(instance: Instance, method: str, path: str, body: Any) -> bytes:  # noqa: ANN401  any JSON
    """The bytes of one request with a JSON body."""
    payload = msgspec.json.encode(body)
    host, port = instance.address
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {instance.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def run_in_process(target: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401  whatever the target gives
    """Run a picklable function in a fresh process, so that its work does not share this one's interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(target, *arguments).result()
