"""Destinations: countries as the library tells them, mail domains by family, push services; nothing for nonsense."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.audience.model import DeviceToken
from clarion.delivery.destinations import ANYWHERE, country_of, destination_of, mail_domain_of
from clarion.delivery.model import Message

SAME_NUMBERS = {"BL", "GP", "MF"}
"""Islands whose numbers the library itself cannot tell apart."""

KINDS = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE)


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_numbers_country_is_what_the_library_takes_a_hundred_times_longer_to_say(region: str):
    for kind in KINDS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None:
            continue
        text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        found = country_of(text)
        assert found == phonenumbers.region_code_for_number(number) or {found, region} <= SAME_NUMBERS


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+14165550100", "CA"),
        ("+12125550100", "US"),
        ("+77012345678", "KZ"),
        ("+79161234567", "RU"),
        ("+4915112345678", "DE"),
        ("+80012345678", ANYWHERE),
        ("+0", ANYWHERE),
        ("+", ANYWHERE),
        ("", ANYWHERE),
        ("015112345678", ANYWHERE),
        ("+²³", ANYWHERE),
    ],
)
def test_neighbours_behind_one_calling_code_are_told_apart(number: str, country: str):
    assert country_of(number) == country


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("ada@Example.ORG", "example.org"),
        ("ada@googlemail.com", "gmail.com"),
        ('"a@b"@live.com', "outlook.com"),
        ("ada", ANYWHERE),
        ("ada@", ANYWHERE),
        ("", ANYWHERE),
        ("a@" + "d" * 200 + ".com", ANYWHERE),
    ],
)
def test_mail_domains_go_by_who_takes_the_mail(address: str, domain: str):
    assert mail_domain_of(address) == domain


def test_a_push_goes_to_the_services_of_its_devices():
    devices = [DeviceToken("ios", "ab" * 32), DeviceToken("android", "b:1"), DeviceToken("ios", "cd" * 32)]
    assert destination_of(Message(b"d" * 16, b"t" * 16, "push", 1, devices=devices)) == "apns+fcm"
    assert destination_of(Message(b"d" * 16, b"t" * 16, "push", 1)) == ANYWHERE
    assert destination_of(Message(b"d" * 16, b"t" * 16, "sms", 1, to="+4915112345678")) == "DE"


@given(st.text(max_size=40))
def test_any_text_has_a_destination(text: str):
    assert country_of(text)
    assert mail_domain_of(text)
    assert country_of("+" + text)
