"""Bodies of replies, unpacked: bounded, whatever a compressed one claims to hold."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.exchange import HttpReply

MAX_REPLY: Final = 1 << 20
"""The largest body of a reply, unpacked, in bytes. What vendors answer has kilobytes."""

_FIRST_ERROR: Final = 400
_ANY_ZLIB: Final = 47
"""`wbits` for gzip and zlib alike, as their first bytes tell."""


def finish(status: int, headers: Mapping[str, str], body: bytes, *, is_whole: bool = True) -> HttpReply:
    """A reply, its body unpacked.

    A success must be whole and readable, because its body says what was done: raises Cut (`truncated_reply`,
    `reply_too_large`, `unreadable_reply`) where it is not. An error counts by its status, with as much of its body as
    there is.
    """
    flaw = "" if is_whole else "truncated_reply"
    encoding = headers.get("content-encoding", "identity").lower()
    if body and encoding in {"gzip", "x-gzip", "deflate"}:
        body, unpacking = _unpack(body)
        flaw = flaw or unpacking
    elif body and encoding != "identity":
        body, flaw = b"", "unreadable_reply"
    if len(body) > MAX_REPLY:
        body, flaw = body[:MAX_REPLY], "reply_too_large"
    if flaw and status < _FIRST_ERROR:
        raise Cut("a success whose body did not come whole, or is larger than any, or cannot be read", flaw)
    return HttpReply(status, headers, body)


def _unpack(body: bytes) -> tuple[bytes, str]:
    """At most one byte more than may be, and what is wrong with it."""
    stream = zlib.decompressobj(_ANY_ZLIB)
    try:
        unpacked = stream.decompress(body, MAX_REPLY + 1)
    except zlib.error:
        return b"", "unreadable_reply"
    return unpacked, "" if stream.eof or len(unpacked) > MAX_REPLY else "truncated_reply"
