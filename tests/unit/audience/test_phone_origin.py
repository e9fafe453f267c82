"""Where a number is from."""

from __future__ import annotations

import phonenumbers
import pytest

from clarion.audience.phone import NOWHERE, Origin, origin_of


@pytest.mark.parametrize(
    ("number", "origin"),
    [
        ("+4915112345678", Origin("DE", ("Europe/Berlin",))),
        ("+14155552671", Origin("US", ("America/Los_Angeles",))),
        ("+17805550123", Origin("CA", ("America/Edmonton",))),
        ("+61281234567", Origin("AU", ("Australia/Sydney",))),
        ("+34612345678", Origin("ES", ("Atlantic/Canary", "Europe/Madrid"))),
        # A mobile number of a country with many clocks may be anywhere in it, and so may one that is free of charge.
        ("+61491570006", Origin("AU", ())),
        ("+18005550123", Origin("US", ())),
        # Nobody has these numbers: what their calling code is known for.
        ("+15551234567", Origin("US", ())),
        ("+447700900123", Origin("GB", ())),
        # A satellite is in no country.
        ("+881612345678", NOWHERE),
        ("+999123", NOWHERE),
    ],
)
def test_a_number_tells_its_country_and_its_clocks(number: str, origin: Origin):
    assert origin_of(number) == origin


def test_every_calling_code_has_an_origin():
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        origin = origin_of(f"+{code}2345678")
        assert origin.country != "001"
        assert "Etc/Unknown" not in origin.zones
