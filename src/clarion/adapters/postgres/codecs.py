"""How values cross: ids as 16 bytes, times as UTC milliseconds, JSON as its bytes. No object is made in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncpg

EPOCH_US: Final = 946_684_800_000_000
"""Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin."""


def to_pg_us(ms: int) -> int:
    """PostgreSQL's microseconds of UTC milliseconds."""
    return ms * 1000 - EPOCH_US


def _encode_time(ms: int) -> tuple[int]:
    return (ms * 1000 - EPOCH_US,)


def _decode_time(value: tuple[int]) -> int:
    return (value[0] + EPOCH_US) // 1000


def _encode_jsonb(raw: bytes) -> bytes:
    return b"\x01" + raw


def _decode_jsonb(raw: bytes) -> bytes:
    return bytes(raw[1:])


async def register_codecs(connection: asyncpg.Connection) -> None:
    """Set the codecs on a fresh connection (pool `init`)."""
    await connection.set_type_codec(
        "uuid", encoder=bytes, decoder=bytes, schema="pg_catalog", format="binary"
    )
    await connection.set_type_codec(
        "jsonb", encoder=_encode_jsonb, decoder=_decode_jsonb, schema="pg_catalog", format="binary"
    )
    await connection.set_type_codec(
        "timestamptz", encoder=_encode_time, decoder=_decode_time, schema="pg_catalog", format="tuple"
    )
