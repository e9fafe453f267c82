"""The short way to E.164 says what the library says."""

from __future__ import annotations

import phonenumbers
from hypothesis import example, given
from hypothesis import strategies as st

from clarion.audience.phone import to_e164

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def by_the_library(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@given(st.sampled_from(CODES), st.text("0123456789", min_size=3, max_size=14))
@example(49, "01701234567")
@example(1, "14155550123")
@example(39, "0612345678")
@example(54, "91123456789")
@example(800, "12345678")
def test_a_number_with_its_calling_code_becomes_what_the_library_makes_of_it(code: int, national: str):
    text = f"+{code}{national}"
    assert to_e164(text, "") == by_the_library(text)
