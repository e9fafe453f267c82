"""`receipts`: a vendor's signed webhooks, from the call to the delivery's new status, through the real API.

The vendor is SendGrid (ECDSA over the raw body, the dearest signature of all to check), with PER_CALL events a call.
What is counted are events that are verified and durable, which is when the vendor gets its 200. Then how soon the
projector has folded them, and what calls of a single event come to, as vendors of text messages make them.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.campaign import batches, prepare
from bench.harness import Result, finish, percentile, post_all, raw_request, run_in_process, say
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.waiting import eventually

BAR: Final = 5_000
DELIVERIES: Final = 10_000
EVENTS: Final = ("processed", "delivered", "open")
PER_CALL: Final = 50
SINGLES: Final = 2_000
CONNECTIONS: Final = 8
MANY_CONNECTIONS: Final = 64
TIMEOUT_S: Final = 120.0

_SENT: Final = "SELECT global_id FROM notifications WHERE status IN ('sent', 'delivered', 'engaged')"
_OPEN: Final = "SELECT count(*) FROM open_deliveries"
_ENGAGED: Final = "SELECT count(*) FROM notifications WHERE status = 'engaged'"
_WAITING: Final = "SELECT count(*) FROM receipt_inbox"


def run() -> Result:
    """Send, then report on what was sent: in calls of many events, and of one."""
    with clarion_up() as instance:
        prepare(instance)
        asyncio.run(post_all(instance, batches(instance, DELIVERIES), 2))
        ids = asyncio.run(_ids(instance))
        vendor = _Vendor(instance)
        calls = vendor.calls(ids, EVENTS, PER_CALL)
        say(f"{len(calls)} calls with {len(ids) * len(EVENTS):,} events")
        rate, folded, spans = run_in_process(_report, instance, calls, CONNECTIONS, PER_CALL)
        say(f"{rate:,.0f} events/s verified and durable; {folded:,.0f}/s until they were folded")
        clicks = vendor.calls(ids[:SINGLES], ("click",), 1)
        single, _, _ = run_in_process(_report, instance, clicks, MANY_CONNECTIONS, 1)
        say(f"{single:,.0f} events/s in calls of one")
        engaged = asyncio.run(_count(instance, _ENGAGED))
    return finish(
        Result(
            "receipts",
            round(rate),
            "events/s, verified and durable",
            f"≥ {BAR}/s, every delivery where its events put it",
            rate >= BAR and engaged == len(ids),
            p50_ms=round(percentile(spans, 0.5) * 1000, 1),
            p99_ms=round(percentile(spans, 0.99) * 1000, 1),
            detail={
                "events_a_call": PER_CALL,
                "folded_per_s": round(folded),
                "in_calls_of_one_per_s": round(single),
                "latency_is": "of a call",
                "engaged": engaged,
            },
        )
    )


class _Vendor:
    """SendGrid, as far as it calls us."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        settings = {"from": "shop@example.org", "webhook_key": base64.b64encode(der).decode()}
        # Not enabled: it has sent before, and calls about that.
        body = {
            "kind": "sendgrid",
            "channel": "email",
            "settings": settings,
            "credentials": {"api_key": "SG.bench"},
            "enabled": False,
        }
        asyncio.run(post_all(instance, [raw_request(instance, "PUT", "/api/v1/providers/sendgrid", body)], 1))
        self._url = asyncio.run(_url(instance))

    def calls(self, ids: Sequence[bytes], kinds: Sequence[str], per_call: int) -> list[bytes]:
        """Signed calls that report these events of each delivery."""
        events = [_event(ident, kind) for kind in kinds for ident in ids]
        return [self._call(events[i : i + per_call]) for i in range(0, len(events), per_call)]

    def _call(self, events: Sequence[dict[str, Any]]) -> bytes:
        raw = msgspec.json.encode(events) + b"\r\n"
        at = f"{int(time.time())}"
        signature = base64.b64encode(self._key.sign(at.encode() + raw, ec.ECDSA(SHA256()))).decode()
        host, port = self._instance.address
        head = (
            f"POST {self._url} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
            f"X-Twilio-Email-Event-Webhook-Signature: {signature}\r\n"
            f"X-Twilio-Email-Event-Webhook-Timestamp: {at}\r\nContent-Length: {len(raw)}\r\n\r\n"
        )
        return head.encode() + raw


def _event(ident: bytes, kind: str) -> dict[str, Any]:
    return {
        "email": "ada@example.org",
        "timestamp": int(time.time()),
        "smtp-id": f"<{ident.hex()}@example.org>",
        "event": kind,
        "category": ["order"],
        "sg_event_id": f"{ident.hex()}{kind}",
        "sg_message_id": f"{ident.hex()}.recvd-1",
        "clarion_delivery": ident.hex(),
    }


async def _url(instance: Instance) -> str:
    request = raw_request(instance, "GET", "/api/v1/providers/sendgrid", {})
    reader, writer = await asyncio.open_connection(*instance.address)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        shown = msgspec.json.decode(await reader.readexactly(length))
        return shown["receipts"]["url"]
    finally:
        writer.close()
        await writer.wait_closed()


async def _ids(instance: Instance) -> list[bytes]:
    """The deliveries, once all are sent."""
    connection = await asyncpg.connect(instance.database_url)

    async def left() -> int:
        return await connection.fetchval(_OPEN)

    try:
        await eventually(left, lambda left: not left, within_s=TIMEOUT_S)
        rows = await connection.fetch(_SENT)
    finally:
        await connection.close()
    return [row["global_id"].bytes for row in rows]


async def _count(instance: Instance, query: str) -> int:
    connection = await asyncpg.connect(instance.database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _report(
    instance: Instance, calls: Sequence[bytes], connections: int, per_call: int
) -> tuple[float, float, list[float]]:
    answered_s, folded_s, spans = uvloop.run(_measure(instance, calls, connections))
    events = len(calls) * per_call
    return events / answered_s, events / folded_s, spans


async def _measure(
    instance: Instance, calls: Sequence[bytes], connections: int
) -> tuple[float, float, list[float]]:
    """Seconds until all calls were answered, until all was folded, and of each call."""
    connection = await asyncpg.connect(instance.database_url)

    async def waiting() -> int:
        return await connection.fetchval(_WAITING)

    try:
        began = time.perf_counter()
        spans = await post_all(instance, calls, connections)
        answered_s = time.perf_counter() - began
        await eventually(waiting, lambda left: not left, within_s=TIMEOUT_S)
        return answered_s, time.perf_counter() - began, spans
    finally:
        await connection.close()
