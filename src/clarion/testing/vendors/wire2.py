"""A vendor's double on a port of this machine, over HTTP/2 (needs `h2`, which the development extras bring)."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Literal, TypeAlias, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError, StreamClosedError

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Answers

Fault: TypeAlias = Literal["drop", "goaway", "refuse", "reset", "hang", "truncate"]
"""In place of a reply: cut the connection; leave in order, without looking; refuse the stream; break it; say nothing;

end it in the middle of the body.
"""

_CODES: Final = {"refuse": ErrorCodes.REFUSED_STREAM, "reset": ErrorCodes.INTERNAL_ERROR}


class Http2Server:
    """A double, served. `script`: what the next requests get instead, one each. `connections`: how many were made.

    `most_streams`: the most that were open at a time.
    """

    def __init__(self, double: Answers) -> None:
        self.double = double
        self.script: deque[Fault | HttpReply] = deque()
        self.requests: deque[HttpRequest] = deque(maxlen=10_000)
        self.connections = 0
        self.most_streams = 0
        self.url = ""
        self.sessions: set[_Session] = set()

    def step_for(self, request: HttpRequest) -> Fault | HttpReply:
        """What this request gets."""
        self.requests.append(request)
        return self.script.popleft() if self.script else self.double.answer(request)


class _Session(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self._streams: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections += 1
        self._server.sessions.add(self)
        self._http.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._server.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._http.receive_data(data)
        except ProtocolError:
            self.abort()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                self._streams[event.stream_id] = (headers, bytearray())
                self._server.most_streams = max(self._server.most_streams, len(self._streams))
            elif isinstance(event, DataReceived):
                self._streams[event.stream_id][1].extend(event.data)
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self._answer(event.stream_id)
        self._flush()

    def _answer(self, stream_id: int) -> None:
        headers, body = self._streams.pop(stream_id)
        plain = {name: value for name, value in headers.items() if not name.startswith(":")}
        request = HttpRequest(
            headers[":method"], f"{self._server.url}{headers[':path']}", plain, bytes(body), http2=True
        )
        step = self._server.step_for(request)
        if isinstance(step, HttpReply):
            self._reply(stream_id, step)
        else:
            self._fail(stream_id, step)

    def _reply(self, stream_id: int, reply: HttpReply) -> None:
        headers = [
            (":status", str(reply.status)),
            *((name.lower(), text) for name, text in reply.headers.items()),
        ]
        headers.append(("content-length", str(len(reply.body))))
        self._http.send_headers(stream_id, headers, end_stream=not reply.body)
        if reply.body:
            self._send(stream_id, reply.body)

    def _send(self, stream_id: int, body: bytes) -> None:
        """The body in frames, as the client's window lets them go."""
        while body:
            try:
                size = min(
                    self._http.local_flow_control_window(stream_id), self._http.max_outbound_frame_size
                )
            except StreamClosedError:
                return
            if size <= 0:
                self._flush()
                asyncio.get_running_loop().call_later(0.01, self._send_later, stream_id, body)
                return
            self._http.send_data(stream_id, body[:size], end_stream=size >= len(body))
            body = body[size:]

    def _send_later(self, stream_id: int, body: bytes) -> None:
        self._send(stream_id, body)
        self._flush()

    def _fail(self, stream_id: int, fault: Fault) -> None:
        if fault == "drop":
            self.abort()
        elif fault == "goaway":
            self._http.close_connection(last_stream_id=0)
            self._flush()
            if self._transport is not None:
                self._transport.close()
        elif fault == "truncate":
            self._http.send_headers(stream_id, [(":status", "200"), ("content-length", "100")])
            self._http.send_data(stream_id, b'{"name":')
            self._http.reset_stream(stream_id, ErrorCodes.INTERNAL_ERROR)
        elif fault != "hang":
            self._http.reset_stream(stream_id, _CODES[fault])

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._http.data_to_send())

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


@asynccontextmanager
async def serve(double: Answers, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Http2Server]:
    """The double on a free port of 127.0.0.1 until the block ends. Without `tls` it takes HTTP/2 at once (h2c)."""
    vendor = Http2Server(double)
    loop = asyncio.get_running_loop()
    if tls is not None:
        tls.set_alpn_protocols(["h2"])
    listener = await loop.create_server(lambda: _Session(vendor), "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    vendor.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield vendor
    finally:
        listener.close()
        for session in list(vendor.sessions):
            session.abort()
        await listener.wait_closed()
