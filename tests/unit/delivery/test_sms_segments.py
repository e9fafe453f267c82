"""Segments as 3GPP TS 23.038 and 23.040 have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.delivery.sms_segments import GSM7_BASIC, GSM7_EXTENSION, SmsSize, size_sms

FAMILY = "👨\u200d👩\u200d👧"
"""One picture on the screen; three emoji and two joiners on the air."""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", SmsSize("gsm7", 0, 0)),
        ("x" * 160, SmsSize("gsm7", 160, 1)),
        ("x" * 161, SmsSize("gsm7", 161, 2)),
        ("x" * 306, SmsSize("gsm7", 306, 2)),
        ("x" * 307, SmsSize("gsm7", 307, 3)),
        ("Größe ÅÉ 12 @£¥\n", SmsSize("gsm7", 16, 1)),
        ("€" * 80, SmsSize("gsm7", 160, 1)),
        ("€" * 80 + "x", SmsSize("gsm7", 161, 2)),
        ("ç" * 70, SmsSize("ucs2", 70, 1)),  # the small one: only Ç is in the alphabet
        ("ç" * 71, SmsSize("ucs2", 71, 2)),
        ("ж" * 134, SmsSize("ucs2", 134, 2)),
        ("ж" * 135, SmsSize("ucs2", 135, 3)),
        ("`", SmsSize("ucs2", 1, 1)),
        ("🎉", SmsSize("ucs2", 2, 1)),
        ("🎉" * 35, SmsSize("ucs2", 70, 1)),
        ("🎉" * 36, SmsSize("ucs2", 72, 2)),
        (FAMILY, SmsSize("ucs2", 8, 1)),
    ],
)
def test_a_text_has_the_segments_of_the_standard(text: str, size: SmsSize):
    assert size_sms(text) == size


def test_an_escape_is_not_parted_from_its_character():
    # 152 septets, then a pair that would straddle the end of the first part: 306 septets no longer fit in two parts.
    assert size_sms("x" * 152 + "€" + "x" * 152) == SmsSize("gsm7", 306, 3)


def test_a_surrogate_pair_is_not_parted():
    # 67 units a part hold 33 emoji and leave one unit empty: 67 emoji (134 units) take three parts, not two.
    assert size_sms("🎉" * 67) == SmsSize("ucs2", 134, 3)


def test_the_alphabets_are_whole():
    assert len(GSM7_BASIC) == 127
    assert len(GSM7_EXTENSION) == 10
    assert not GSM7_BASIC & GSM7_EXTENSION


@given(st.text(max_size=400))
def test_units_are_those_of_the_encoding_and_segments_have_room_for_them(text: str):
    size = size_sms(text)
    if size.encoding == "ucs2":
        assert size.units == len(text.encode("utf-16-le")) // 2
    alone, among = (160, 153) if size.encoding == "gsm7" else (70, 67)
    if size.units <= alone:
        assert size.segments == bool(text)
    else:
        assert (size.segments - 1) * (among - 1) < size.units <= size.segments * among


@given(st.text(alphabet="a€{🎉ж", max_size=300), st.text(alphabet="a€{🎉ж", max_size=300))
def test_more_text_never_takes_fewer_segments(text: str, more: str):
    assert size_sms(text + more).segments >= size_sms(text).segments
