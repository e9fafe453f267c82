"""The outermost layer: whatever becomes of a request, its answer carries an id, its trace and the standing headers.

edge ─▶ routing ─▶ admission (who, whether, how often) ─▶ idempotency ─▶ handler
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from clarion.adapters.telemetry.traces import SpanRecord, is_sampled
from clarion.entrypoints.api.replies import Header

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send
    from prometheus_client import Counter, Histogram

    from clarion.adapters.telemetry.metrics import Metrics
    from clarion.adapters.telemetry.traces import Traces
    from clarion.kernel.clock import Clock

SAMPLED_PER_S: Final = 10
"""Traces a second that are begun here and recorded. Those that a caller began are recorded as she says."""

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_TRACEPARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
)
_TRACEPARENT_LENGTH: Final = 55
_STANDING: Final[tuple[Header, ...]] = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)
_UNMATCHED: Final = "unmatched"


class Trip(msgspec.Struct):
    """One request on its way through this process. `headers` came in (lower case), `answer` go out with the answer."""

    headers: dict[bytes, bytes]
    request_id: str
    traceparent: str
    answer: list[Header] = []


def trip_of(scope: Scope) -> Trip:
    """The trip that the edge began for this request."""
    return cast("Trip", scope["state"]["trip"])


class Edge:
    """ASGI middleware around everything, routing included."""

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces, clock: Clock) -> None:
        self._app = app
        self._traces = traces
        self._clock = clock
        self._meter = _Meter(metrics)
        self._sampler = _Sampler(clock)
        self._chance = _Chance()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and mark its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trip = self._begin(dict(scope["headers"]))
        scope["state"]["trip"] = trip
        # Routing goes by the path as it was sent: an encoded slash inside a user id separates nothing.
        scope["path"] = scope["raw_path"].decode("latin-1")
        is_traced = self._traces.enabled and is_sampled(trip.traceparent)
        began_ms = self._clock.now_ms() if is_traced else 0
        began_s = self._clock.monotonic()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    *_STANDING,
                    (b"x-request-id", trip.request_id.encode()),
                    (b"traceparent", trip.traceparent.encode()),
                    *trip.answer,
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_marked)
        finally:
            route: str = cast("dict[str, Any]", scope).get("path_template", _UNMATCHED)
            self._meter.count(route, scope["method"], status, self._clock.monotonic() - began_s)
            if is_traced:
                self._record(trip, f"{scope['method']} {route}", began_ms, status)

    def _begin(self, headers: dict[bytes, bytes]) -> Trip:
        given_id, given_trace = headers.get(b"x-request-id"), headers.get(b"traceparent")
        chance = self._chance.take()
        request_id = given_id.decode() if given_id and _REQUEST_ID.fullmatch(given_id) else chance[:32]
        if given_trace and _TRACEPARENT.fullmatch(given_trace):
            return Trip(headers, request_id, "00" + given_trace[2:_TRACEPARENT_LENGTH].decode())
        flag = "01" if self._traces.enabled and self._sampler.takes() else "00"
        return Trip(headers, request_id, f"00-{chance[32:64]}-{chance[64:]}-{flag}")

    def _record(self, trip: Trip, name: str, began_ms: int, status: int) -> None:
        attributes: dict[str, str | int | float] = {
            "http.response.status_code": status,
            "clarion.request_id": trip.request_id,
        }
        self._traces.record([SpanRecord(trip.traceparent, name, began_ms, self._clock.now_ms(), attributes)])


class _Chance:
    """Random digits for ids, fetched for a hundred requests at a time: the system call costs more than its bytes."""

    EACH: Final = 80
    """Hexadecimal digits: 32 of a request's id, 32 of a trace's, 16 of a span's."""

    def __init__(self) -> None:
        self._left = ""

    def take(self) -> str:
        """EACH digits that nobody else gets."""
        if not self._left:
            self._left = os.urandom(self.EACH * 50).hex()
        chance, self._left = self._left[: self.EACH], self._left[self.EACH :]
        return chance


class _Sampler:
    """Takes the first few of each second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._second = 0
        self._taken = 0

    def takes(self) -> bool:
        """Whether this one is recorded."""
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= SAMPLED_PER_S


class _Meter:
    """Counts requests. Keeps the children of the metrics: finding one by its labels costs more than counting."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, route: str, method: str, status: int, took_s: float) -> None:
        """Count one request. `route` is a template of ours, so that there are few series."""
        key = (route, method, status)
        children = self._children.get(key)
        if children is None:
            name = route.replace(":str}", "}")
            children = self._children[key] = (
                self._metrics.requests.labels(name, method, str(status)),
                self._metrics.request_seconds.labels(name, method),
            )
        children[0].inc()
        children[1].observe(took_s)
