"""A small HTTP/1.1 client for tests: it sends exactly what it is told, also what no proper client would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec

TIMEOUT_S: Final = 30.0


class HttpAnswer(msgspec.Struct, frozen=True):
    """An answer. Header names are in lower case; where one came twice, the last counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  JSON
        """The body, decoded. Raises msgspec.DecodeError where it is no JSON."""
        return msgspec.json.decode(self.body)


class HttpConnection:
    """One connection, kept open between requests. An asynchronous context manager."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.transport.abort()

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self, *, has_body: bool = True) -> HttpAnswer:
        """The next answer; HEAD gets no body. Raises TimeoutError, asyncio.IncompleteReadError where none comes."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            status_line, *lines = head.decode("latin-1").split("\r\n")
            fields = (line.partition(":") for line in lines if line)
            headers = {name.strip().lower(): value.strip() for name, _, value in fields}
            body = await self._read_body(headers) if has_body else b""
            return HttpAnswer(int(status_line.split(" ")[1]), headers, body)

    async def _read_body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") != "chunked":
            return await self._reader.readexactly(int(headers.get("content-length", "0")))
        chunks: list[bytes] = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readuntil(b"\r\n")
        return b"".join(chunks)


class HttpClient:
    """Requests to one server, each on a connection of its own; `headers` go with all of them."""

    def __init__(self, host: str, port: int, headers: Mapping[str, str] | None = None) -> None:
        self.host = host
        self.port = port
        self.headers = dict(headers or {})

    def connect(self) -> HttpConnection:
        """A connection, to be entered."""
        return HttpConnection(self.host, self.port)

    async def request(
        self,
        line: str,
        json: Any = None,  # noqa: ANN401  JSON
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send a request (`GET /path`), with `json` or the bytes of `body` as its body. A header "" is left out."""
        content = msgspec.json.encode(json) if json is not None else body
        sent = {**self.headers, **({"content-type": "application/json"} if json is not None else {})}
        sent |= {name.lower(): value for name, value in (headers or {}).items()}
        async with self.connect() as connection:
            await connection.send(request_head(line, sent, content) + (content or b""))
            return await connection.receive()

    async def chunked(
        self, line: str, chunks: AsyncIterable[bytes], headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """Send a request whose body comes in chunks, as they come."""
        sent = {**self.headers, **(headers or {}), "transfer-encoding": "chunked"}
        async with self.connect() as connection:
            await connection.send(request_head(line, sent, None))
            answer = asyncio.ensure_future(connection.receive())
            async for chunk in chunks:
                if answer.done():
                    break
                await connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            else:
                await connection.send(b"0\r\n\r\n")
            return await answer


def request_head(line: str, headers: Mapping[str, str], content: bytes | None) -> bytes:
    """The bytes of a request before its body."""
    fields = {"host": "clarion.test", **headers}
    if content is not None:
        fields.setdefault("content-length", str(len(content)))
    sent = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"{line} HTTP/1.1", *sent, "", ""]).encode("latin-1")
