"""Telephone numbers in E.164: by a short way where a number is plainly written, by the library else."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec
import phonenumbers

_PLAIN: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_CODE_DIGITS: Final = (1, 2, 3)
_NO_REGION: Final = "001"
"""The library's name for calling codes that belong to no country."""


class _Plan(msgspec.Struct, frozen=True):
    """How numbers behind a calling code look. `prefix`: what is dialled inside the country only."""

    digits: int
    lengths: frozenset[int]
    prefix: re.Pattern[str] | None


def to_e164(text: str, country: str) -> str | None:
    """The number in E.164, or None where it is none. `country` (ISO 3166-1, or "") tells what a national number means.

    A number is judged by its length, because the lists of ranges in use lag behind the ranges in use.
    """
    if _PLAIN.fullmatch(text) and _is_plain(text):
        return text
    try:
        number = phonenumbers.parse(text, country or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_plain(text: str) -> bool:
    """Whether the library would give back what it was given: it takes 12 µs to say so, this takes 1."""
    plan = _plan_of(text[1:4])
    if plan is None:
        return False
    national = text[1 + plan.digits :]
    return len(national) in plan.lengths and (plan.prefix is None or plan.prefix.match(national) is None)


@lru_cache(maxsize=1000)
def _plan_of(first_three: str) -> _Plan | None:
    """The plan of the calling code that three digits begin with; None where it takes the library to tell."""
    for digits in _CODE_DIGITS:
        regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(first_three[:digits]))
        if regions is None:
            continue
        metadata = (
            None if regions[0] == _NO_REGION else phonenumbers.PhoneMetadata.metadata_for_region(regions[0])
        )
        if metadata is None or metadata.general_desc is None:
            return None
        prefix = metadata.national_prefix_for_parsing
        lengths = frozenset(length for length in metadata.general_desc.possible_length if length > 0)
        return _Plan(digits, lengths, re.compile(prefix) if prefix else None)
    return None
