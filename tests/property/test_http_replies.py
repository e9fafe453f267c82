"""Replies come in pieces, cut anywhere: what they say does not depend on it, and nothing but a reply becomes one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.connection import Connection
from clarion.adapters.providers.http.exchange import HttpReply


class Wire(asyncio.Transport):
    """The other end of a connection: what it gives is fed to it by the test."""

    def __init__(self) -> None:
        super().__init__({"socket": _NoSocket()})
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True


class _NoSocket:
    def fileno(self) -> int:
        return 0


async def hear(pieces: Sequence[bytes], *, then_ends: bool) -> HttpReply:
    """The reply that a connection makes of these pieces."""
    connection = Connection()
    connection.connection_made(Wire())
    asked = asyncio.ensure_future(connection.ask(b"GET / HTTP/1.1\r\n\r\n", b"", lambda: None))
    await asyncio.sleep(0)
    for piece in pieces:
        connection.data_received(piece)
    if then_ends:
        connection.connection_lost(None)
    async with asyncio.timeout(5):
        return await asked


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The data in pieces, cut at these places."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges) if begin < end]


def chunked(parts: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


BODIES = st.lists(st.binary(max_size=200), max_size=5)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=10).map(lambda name: f"x-{name}")
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=5)


@given(
    status=st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    headers=HEADERS,
    parts=BODIES,
    is_chunked=st.booleans(),
    places=st.lists(st.integers(0, 5000), max_size=12),
)
def test_a_reply_is_the_same_in_whatever_pieces_it_comes(
    status: int, headers: dict[str, str], parts: list[bytes], places: list[int], *, is_chunked: bool
):
    body = b"".join(parts)
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append("Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(body)}")
    raw = "\r\n".join(lines).encode() + b"\r\n\r\n" + (chunked(parts) if is_chunked else body)
    reply = asyncio.run(hear(cut(raw, places), then_ends=False))
    assert (reply.status, reply.body) == (status, body)
    assert {name: reply.headers[name] for name in headers} == headers


@given(raw=st.binary(max_size=300), places=st.lists(st.integers(0, 300), max_size=5))
def test_noise_is_no_reply(raw: bytes, places: list[int]):
    with pytest.raises(Cut):
        asyncio.run(hear(cut(raw, places), then_ends=True))


@given(length=st.integers(1, 1000), come=st.integers(0, 999))
def test_half_a_success_is_none_and_half_an_error_counts(length: int, come: int):
    come %= length
    for status in (200, 503):
        raw = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, length) + b"x" * come
        if status == 200:
            with pytest.raises(Cut):
                asyncio.run(hear([raw], then_ends=True))
        else:
            assert asyncio.run(hear([raw], then_ends=True)) == HttpReply(
                status, {"content-length": str(length)}, b"x" * come
            )
