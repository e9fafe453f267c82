from __future__ import annotations

import pytest

from clarion.compliance.jurisdictions import UNKNOWN, Places, Whereabouts
from clarion.compliance.rulebook import bundled_rulebook

ATLAS = bundled_rulebook().atlas


def plausible(where: Whereabouts, country: str = "", timezone: str = "") -> Places:
    return ATLAS.plausible(where, country, timezone)


@pytest.mark.parametrize(
    ("where", "jurisdictions"),
    [
        (Whereabouts("US", "FL"), ("US-FL",)),
        (Whereabouts("us", "us-fl"), ("US-FL",)),
        (Whereabouts("US", " Florida "), ("US-FL",)),
        (Whereabouts("US", "NY"), ("US-NY",)),
        (Whereabouts("US"), ("US-*",)),
        (Whereabouts("US", "Atlantis"), ("US-*",)),
        (Whereabouts("PR"), ("PR",)),
        (Whereabouts("DE", "Bayern"), ("DE",)),
        (Whereabouts(timezone="America/Chicago"), ("US-*",)),
        (Whereabouts(timezone="US/Eastern"), ("US-*",)),
        (Whereabouts(timezone="Asia/Calcutta"), ("IN",)),
        (Whereabouts("FR", phone_country="US"), ("FR", "US-*")),
        (Whereabouts("US", "FL", phone_country="US"), ("US-FL",)),
        (Whereabouts("FR", "", "Asia/Tokyo", "GB"), ("FR", "GB", "JP")),
        (Whereabouts("XX"), (UNKNOWN,)),
        (Whereabouts("XX", phone_country="DE"), (UNKNOWN, "DE")),
        (Whereabouts("DE", phone_country="001"), ("DE",)),
    ],
)
def test_every_place_that_is_known_of_a_user_has_its_say(where: Whereabouts, jurisdictions: tuple[str, ...]):
    assert plausible(where, "AU", "Australia/Sydney").jurisdictions == jurisdictions


def test_who_is_nowhere_is_where_her_tenant_is():
    assert plausible(Whereabouts(), "DE", "Europe/Berlin") == Places(("DE",), ("Europe/Berlin",))


@pytest.mark.parametrize(
    "timezone", ["", "UTC", "Etc/GMT+5", "Mars/Olympus", "/etc/passwd", "Europe", "../UTC"]
)
def test_where_nobody_knows_anything_every_rule_holds(timezone: str):
    assert plausible(Whereabouts(timezone=timezone)).jurisdictions == (UNKNOWN,)


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "/etc/passwd", "Europe", "../UTC", "\0"])
def test_a_zone_that_no_clock_knows_counts_as_not_told(timezone: str):
    assert plausible(Whereabouts("FR", timezone=timezone)).zones == ("Europe/Paris",)
    assert plausible(Whereabouts(timezone=timezone), "", timezone).zones == ("UTC",)
    assert plausible(Whereabouts("FR", phone_zones=(timezone,))).zones == ("Europe/Paris",)


def test_a_profile_that_names_its_zone_is_not_asked_for_the_rest_of_the_country():
    where = Whereabouts("US", "NY", "America/New_York", "US", ("America/Chicago", "America/New_York"))
    assert plausible(where).zones == ("America/New_York",)


def test_a_number_from_elsewhere_adds_its_clocks():
    where = Whereabouts("US", "NY", "America/New_York", "US", ("America/Los_Angeles",))
    assert plausible(where).zones == ("America/Los_Angeles", "America/New_York")


def test_a_zone_outside_of_the_country_adds_the_clocks_of_the_country():
    assert plausible(Whereabouts("FR", timezone="Asia/Tokyo")).zones == ("Asia/Tokyo", "Europe/Paris")


def test_a_country_without_a_zone_has_each_of_its_clocks_once():
    zones = plausible(Whereabouts("US")).zones
    assert len(zones) == 8
    assert {"America/New_York", "America/Phoenix", "Pacific/Honolulu"} <= set(zones)
    assert plausible(Whereabouts("IN")).zones == ("Asia/Kolkata",)


def test_a_number_tells_the_clocks_of_its_area_else_those_of_its_country():
    assert plausible(Whereabouts(phone_country="US", phone_zones=("America/Denver",))).zones == (
        "America/Denver",
    )
    assert plausible(Whereabouts(phone_country="GB")).zones == ("Europe/London",)
