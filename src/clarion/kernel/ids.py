"""UUIDv7 identifiers, made by the batch.

A notification and its deliveries share one millisecond, and `created_at` is exactly that millisecond: an id alone
finds its partition. Layout (RFC 9562, section 5.7): 48 bits of milliseconds, 4 bits version, 12 random bits,
2 bits variant, 62 random bits.
"""

from __future__ import annotations

import os
import uuid

import numpy as np
import numpy.typing as npt

UUID_BYTES = 16
_VERSION_7 = 0x70
_VARIANT = 0x80

BLOCK_BYTES = 11
"""Leading bytes that the ids of a block share."""

_GOLDEN_STEP = 42_470_972_311
"""2^36 divided by the golden ratio, odd: what follows one another lies far apart."""


def make_ids(count: int, at_ms: int) -> bytes:
    """`count` UUIDv7 of the millisecond `at_ms`, as one buffer of 16 bytes each.

    The last four bits are 0: a notification's deliveries differ from it only there (`contracts.work`). Unique by
    the 70 random bits that remain.
    """
    raw = np.frombuffer(bytearray(os.urandom(count * UUID_BYTES)), np.uint8).reshape(count, UUID_BYTES)
    raw[:, :6] = np.frombuffer(at_ms.to_bytes(6, "big"), np.uint8)
    raw[:, 6] = (raw[:, 6] & 0x0F) | _VERSION_7
    raw[:, 8] = (raw[:, 8] & 0x3F) | _VARIANT
    raw[:, 15] &= 0xF0
    return raw.tobytes()


def make_block(count: int, at_ms: int) -> bytes:
    """As `make_ids`, but with ids that no other call makes in between: `block_range` of any of them holds them all.

    They share 94 bits (the millisecond, and 34 random bits beside version and variant). The 36 after those are never
    the same in a block, and as evenly spread as chance would do it.
    """
    raw = np.frombuffer(bytearray(make_ids(1, at_ms) * count), np.uint8).reshape(count, UUID_BYTES)
    start = int.from_bytes(os.urandom(5), "big")
    # Steps of an odd number reach each of the 2^36 places once before any of them twice.
    places = (start + np.arange(count, dtype=np.uint64) * np.uint64(_GOLDEN_STEP)) << np.uint64(4)
    raw[:, BLOCK_BYTES:] = places.astype(">u8").view(np.uint8).reshape(count, 8)[:, -5:]
    return raw.tobytes()


def block_range(ident: bytes) -> tuple[bytes, bytes]:
    """The lowest and the highest id that the block of `ident` can have, deliveries' ids included."""
    rest = UUID_BYTES - BLOCK_BYTES
    return ident[:BLOCK_BYTES] + bytes(rest), ident[:BLOCK_BYTES] + b"\xff" * rest


def split_ids(buffer: bytes) -> list[bytes]:
    """The 16-byte ids of a buffer made by `make_ids`, in order."""
    return [buffer[i : i + UUID_BYTES] for i in range(0, len(buffer), UUID_BYTES)]


def created_ms(ident: bytes) -> int:
    """The millisecond that an id carries: the `created_at` of its row."""
    return int.from_bytes(ident[:6], "big")


def id_sum(buffer: bytes) -> int:
    """Sum of the low 64 bits (unsigned) of each id in `buffer`: order-free fingerprint kept in `accept_batches`.

    The ledger compares it with `sum(low 64 bits)` over the rows; a row deleted by hand changes it.
    """
    low = np.frombuffer(buffer, ">u8")[1::2]
    # Two 32-bit halves: a sum of 2^31 ids stays inside 64 bits, where the plain sum would wrap.
    return (int((low >> np.uint64(32)).sum()) << 32) + int((low & np.uint64(0xFFFFFFFF)).sum())


def format_id(ident: bytes) -> str:
    """Canonical text of a 16-byte id."""
    text = ident.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: str) -> bytes | None:
    """The 16 bytes of a canonical UUID text, or None where it is not one."""
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None


def hash64(ident: bytes) -> int:
    """The low 62 random bits of an id: a uniform hash that costs nothing (jitter, sharding)."""
    return int.from_bytes(ident[8:], "big") & 0x3FFF_FFFF_FFFF_FFFF


def low64(ids: bytes) -> npt.NDArray[np.uint64]:
    """The low 64 bits of each id in the buffer, as an array."""
    return np.frombuffer(ids, ">u8")[1::2].astype(np.uint64)
