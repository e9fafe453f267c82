"""Hash chains: rows that each seal the one before, so that nothing can be changed, cut out or moved unnoticed.

    hash[n] = SHA-256(hash[n - 1] ‖ content[n])          hash[0] = SHA-256("clarion" ‖ name of the chain ‖ tenant)

`content` is the row's canonical form: its fields in a fixed order as MessagePack, which writes one value in one way.
What the last hash was must be known from elsewhere (a certificate, an export) to tell that the newest rows are gone.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

HASH_BYTES: Final = 32

_encoder = msgspec.msgpack.Encoder()


class Linked(msgspec.Struct, frozen=True):
    """A row of a chain as it is stored. `number` counts from 1 without a gap; `content`: see `canonical`."""

    number: int
    content: bytes
    hash: bytes


class Break(msgspec.Struct, frozen=True):
    """The first row of a chain that does not fit what stands before it, and what is wrong with it."""

    number: int
    problem: str


class Verdict(msgspec.Struct, frozen=True):
    """What a chain is found to be. `rows` were read, up to `number` with `hash`; `broken`: the first that is wrong."""

    rows: int
    number: int
    hash: bytes
    broken: Break | None


def origin(chain: str, tenant_id: bytes) -> bytes:
    """What stands before a chain's first row: no row of another chain or tenant fits in its place."""
    return hashlib.sha256(b"clarion" + chain.encode() + b"\0" + tenant_id).digest()


def canonical(fields: Sequence[object]) -> bytes:
    """A row's fields as the bytes that are hashed. Numbers, texts, bytes, booleans, None, and lists of these."""
    return _encoder.encode(fields)


def link(previous: bytes, content: bytes) -> bytes:
    """The hash of a row after the one whose hash is `previous`."""
    return hashlib.sha256(previous + content).digest()


def link_all(previous: bytes, contents: Iterable[bytes]) -> list[bytes]:
    """The hashes of rows that follow one another."""
    hashes: list[bytes] = []
    for content in contents:
        previous = link(previous, content)
        hashes.append(previous)
    return hashes


def find_break(previous: bytes, number: int, rows: Iterable[Linked]) -> Break | None:
    """Where a chain is broken; None where `rows` follow the row `number`, whose hash is `previous` (0: the origin)."""
    for row in rows:
        number += 1
        if row.number != number:
            return Break(number, f"is missing: the next row is number {row.number}")
        previous = link(previous, row.content)
        if not hmac.compare_digest(previous, row.hash):
            return Break(number, "does not have the hash that follows from its content and the row before it")
    return None
