"""How many segments a text message is sent, and paid for, as (3GPP TS 23.038 and 23.040).

A text whose characters are all in the GSM alphabet takes a septet each, those of the extension table two (an escape
goes before them); any other character makes the whole text UCS-2, in code units of UTF-16: an emoji takes two. Of 140
octets a lone segment holds 160 septets or 70 units; as a part of several, after six octets of header, 153 or 67. What
takes two is never parted: it moves to the next segment as a whole.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

SmsEncoding: TypeAlias = Literal["gsm7", "ucs2"]

GSM7_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The default alphabet, without the escape to the extension table: 127 characters."""

GSM7_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
"""What is written as an escape and another septet."""

_GSM7: Final = GSM7_BASIC | GSM7_EXTENSION
_ASTRAL: Final = 0x10000


class _Room(msgspec.Struct, frozen=True):
    """What fits in a segment that stands alone, and in one of several."""

    alone: int
    among: int


_ROOM: Final[dict[SmsEncoding, _Room]] = {"gsm7": _Room(160, 153), "ucs2": _Room(70, 67)}


class SmsSize(msgspec.Struct, frozen=True, gc=False):
    """A text on the air. `units`: septets of GSM-7, or UTF-16 code units. `segments` 0: the text is empty."""

    encoding: SmsEncoding
    units: int
    segments: int


def size_sms(text: str) -> SmsSize:
    """The size of a text. 1 µs for one segment."""
    characters = frozenset(text)
    encoding: SmsEncoding = "gsm7" if characters <= _GSM7 else "ucs2"
    doubles = _doubles(text, characters, encoding)
    units = len(text) + sum(doubles)
    room = _ROOM[encoding]
    if units <= room.alone:
        return SmsSize(encoding, units, 1 if text else 0)
    segments = _pack(doubles, room.among) if any(doubles) else -(-units // room.among)
    return SmsSize(encoding, units, segments)


def _doubles(text: str, characters: frozenset[str], encoding: SmsEncoding) -> list[bool]:
    """Which characters of the text take two units; an empty list where none does."""
    if encoding == "gsm7":
        return [] if characters.isdisjoint(GSM7_EXTENSION) else [char in GSM7_EXTENSION for char in text]
    return [ord(char) >= _ASTRAL for char in text]


def _pack(doubles: list[bool], room: int) -> int:
    """How many segments of `room` units hold characters of one unit or two, none of them parted."""
    segments, left = 1, room
    for is_double in doubles:
        units = 2 if is_double else 1
        if units > left:
            segments, left = segments + 1, room
        left -= units
    return segments
