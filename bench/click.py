"""`click`: following a link in a message, from the request to the redirect, through the real API.

Readers come at a steady pace whatever happened to the one before them, and are timed from when they came. Then as many
as sixteen connections can take, for the rate. In the end every delivery that was clicked must be `engaged`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import asyncpg
import uvloop

from bench.campaign import batches, prepare
from bench.harness import Result, finish, percentile, post_all, run_in_process, say
from clarion.adapters.embedded import Credentials, DataDirectory
from clarion.adapters.sealing.master_key import MasterKey
from clarion.delivery.links.tokens import LinkKeys, LinkKind, Recipient, TokenSigner
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR_MS: Final = 10.0
DELIVERIES: Final = 2_000
PER_S: Final = 500
SECONDS: Final = 12
CONNECTIONS: Final = 16
TARGET: Final = b"https://shop.example/tea/oolong?utm_source=mail&utm_campaign=november"

_SENT: Final = "SELECT global_id, tenant_id, user_id FROM notifications WHERE status IN ('sent', 'engaged')"
_ENGAGED: Final = "SELECT count(*) FROM notifications WHERE status = 'engaged'"


def run() -> Result:
    """Send, then click: at a pace, then as fast as it goes."""
    with clarion_up() as instance:
        prepare(instance)
        asyncio.run(post_all(instance, batches(instance, DELIVERIES), 2))
        requests = asyncio.run(_clicks(instance))
        say(f"{len(requests)} deliveries to click on")
        spans = run_in_process(_at_a_pace, instance, requests)
        say(f"p99 {percentile(spans, 0.99) * 1000:.2f} ms at {PER_S}/s")
        rate = run_in_process(_flat_out, instance, requests)
        counted = asyncio.run(_counted(instance))
        say(f"{rate:,.0f} redirects/s; {counted} of {DELIVERIES} counted")
    p99_ms = percentile(spans, 0.99) * 1000
    return finish(
        Result(
            "click",
            round(p99_ms, 2),
            "ms, p99",
            f"p99 < {BAR_MS:g} ms, every click counted",
            p99_ms < BAR_MS,
            p50_ms=round(percentile(spans, 0.5) * 1000, 2),
            p99_ms=round(p99_ms, 2),
            detail={
                "clicks_per_s": PER_S,
                "seconds": SECONDS,
                "flat_out_per_s": round(rate),
                "counted": counted,
            },
        )
    )


async def _clicks(instance: Instance) -> list[bytes]:
    """A request for a click on each delivery, once all are sent."""
    master = MasterKey.from_text(Credentials(DataDirectory.existing(instance.data)).master_key())
    signer = TokenSigner(LinkKeys(1, {1: master.derive("links.1")}))
    now_ms = time.time_ns() // 1_000_000
    connection = await asyncpg.connect(instance.database_url)

    async def sent() -> list[asyncpg.Record]:
        return await connection.fetch(_SENT)

    try:
        rows = await eventually(sent, lambda rows: len(rows) == DELIVERIES)
    finally:
        await connection.close()
    recipients = [Recipient(tenant.bytes, ident.bytes, user_id) for ident, tenant, user_id in rows]
    heads = [signer.head(recipient, now_ms) for recipient in recipients]
    return [_request(instance, signer.sign(LinkKind.CLICK, head, TARGET)) for head in heads]


def _request(instance: Instance, token: str) -> bytes:
    host, port = instance.address
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    return f"GET /t/c/{token} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {agent}\r\n\r\n".encode()


def _at_a_pace(instance: Instance, requests: Sequence[bytes]) -> list[float]:
    return uvloop.run(_pace(instance, requests))


async def _pace(instance: Instance, requests: Sequence[bytes]) -> list[float]:
    """The seconds from when each reader came to her redirect. One who finds no free connection waits for one."""
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(*instance.address))
    spans: list[float] = []

    async def click(request: bytes, came: float) -> None:
        reader, writer = await free.get()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 302"):
            raise RuntimeError(head)
        spans.append(time.perf_counter() - came)
        free.put_nowait((reader, writer))

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(PER_S * SECONDS):
            comes = began + number / PER_S
            await asyncio.sleep(max(0.0, comes - time.perf_counter()))
            group.create_task(click(requests[number % len(requests)], comes))
    while not free.empty():
        free.get_nowait()[1].close()
    return spans


def _flat_out(instance: Instance, requests: Sequence[bytes]) -> float:
    began = time.perf_counter()
    spans = uvloop.run(post_all(instance, [*requests, *requests, *requests], CONNECTIONS))
    return len(spans) / (time.perf_counter() - began)


async def _counted(instance: Instance) -> int:
    """How many deliveries are engaged, once all are. Raises TimeoutError with how many there were after a minute."""
    connection = await asyncpg.connect(instance.database_url)

    async def engaged() -> int:
        return await connection.fetchval(_ENGAGED)

    try:
        return await eventually(engaged, lambda count: count == DELIVERIES)
    finally:
        await connection.close()
