"""Where a user may be, as far as anybody knows: the jurisdictions whose rules she is under, and the zones of her clock.

What is known rarely agrees: a profile says France, a number begins with +1, a phone shows Chicago's time. Each of them
may be true, so that each counts, and a message must be allowed in all of them. Nothing known: the tenant's own country,
and without one the strictest rules there are.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Final

import msgspec

from clarion.kernel.local_time import find_zone

ELSEWHERE: Final = "ELSEWHERE"
"""A country of which no rule is known, or no country at all."""

EU: Final = "EU"
UNKNOWN_STATE: Final = "US-?"
"""Somewhere in the United States: what every state forbids."""

EEA: Final = frozenset(
    (
        *("AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT"),
        *("LV", "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", "IS", "LI", "NO"),
    )
)
"""The countries of the European Union, Iceland, Liechtenstein and Norway."""

WITH_RULES: Final = frozenset(("US", "CA", "GB", "AU", "IN", "AE")) | EEA

US_STATES: Final = frozenset(
    (
        *("AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "ID", "IL", "IN"),
        *("IA", "KS", "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH"),
        *("NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT"),
        *("VT", "VA", "WA", "WV", "WI", "WY", "AS", "GU", "MP", "PR", "VI"),
    )
)

_TERRITORIES: Final = {"PR": "US-PR", "GU": "US-GU", "VI": "US-VI", "AS": "US-AS", "MP": "US-MP"}
"""Territories that have a country's code of their own and are under the federal rules."""

_UK: Final = frozenset(("UK", "GG", "JE", "IM"))

_US_ZONES: Final = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles"),
    *("America/Anchorage", "America/Adak", "Pacific/Honolulu"),
)
"""The clocks of the fifty states: tzdata has 29 names for them, most of them alike since 1970."""

_ZONE_COLUMNS: Final = 3


class Whereabouts(msgspec.Struct, frozen=True, array_like=True):
    """What is known of where a user is. "": not known.

    `country` and `phone_country` are ISO 3166 codes, `region` a state or province (`FL`, `US-FL`), `timezone` an IANA
    name. Codes may be in any case; what is no code says nothing.
    """

    country: str = ""
    region: str = ""
    timezone: str = ""
    phone_country: str = ""


class Places(msgspec.Struct, frozen=True):
    """Where a user may be: jurisdictions (a country with its state, or what stands for it) and zones, each sorted."""

    jurisdictions: tuple[str, ...]
    zones: tuple[str, ...]


@lru_cache(maxsize=8192)
def find_places(user: Whereabouts, tenant_country: str = "", tenant_timezone: str = "UTC") -> Places:
    """Everywhere that a user may be. Never empty; an odd country, state or zone is as good as none. Pure."""
    zone = user.timezone if user.timezone and find_zone(user.timezone) else ""
    countries = {_code(user.country), _code(user.phone_country), country_of(zone)} - {""}
    jurisdictions: set[str] = set()
    for country in countries or {_code(tenant_country) or ELSEWHERE}:
        jurisdictions |= _jurisdictions(country, user.region)
    return Places(tuple(sorted(jurisdictions)), _zones(zone, countries, tenant_timezone))


def _jurisdictions(country: str, region: str) -> set[str]:
    if country in EEA:
        return {EU, country}
    if country == "US" or country in _TERRITORIES:
        state = _TERRITORIES.get(country) or _state(region)
        return {"US", state or UNKNOWN_STATE}
    return {country if country in WITH_RULES else ELSEWHERE}


def _state(region: str) -> str:
    """`US-FL` of `FL`, `us-fl` or `US-FL`; "" of what is no state."""
    code = region.strip().upper().removeprefix("US-")
    return f"US-{code}" if code in US_STATES else ""


def _zones(zone: str, countries: set[str], tenant_timezone: str) -> tuple[str, ...]:
    """The zone that is known, and those of every country that it is not in."""
    found = {zone} if zone else set[str]()
    for country in countries - {country_of(zone)}:
        found.update(zones_of(country))
    if not found:
        found = {tenant_timezone if find_zone(tenant_timezone) else "UTC"}
    return tuple(sorted(found))


def _code(text: str) -> str:
    code = text.strip().upper()
    if code in _UK:
        return "GB"
    return code if len(code) == 2 and code.isascii() and code.isalpha() else ""  # noqa: PLR2004  ISO 3166-1 alpha-2


def country_of(zone: str) -> str:
    """The country whose clocks a zone shows, by the tz database; "" where it is nobody's (`UTC`, `Etc/GMT+5`)."""
    return _zone_table()[0].get(zone, "")


def zones_of(country: str) -> tuple[str, ...]:
    """The zones of a country. Raises nothing; an unknown country has none."""
    return _US_ZONES if country == "US" else _zone_table()[1].get(country, ())


@lru_cache(maxsize=1)
def _zone_table() -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Country by zone and zones by country, as the tz database lists them (`zone.tab` of the `tzdata` package)."""
    countries: dict[str, str] = {}
    zones: dict[str, list[str]] = {}
    text = (files("tzdata") / "zoneinfo" / "zone.tab").read_text("utf-8")
    for line in text.splitlines():
        columns = line.split("\t")
        if not line.startswith("#") and len(columns) >= _ZONE_COLUMNS:
            code, _, zone = columns[:_ZONE_COLUMNS]
            # Crimea and a few others are listed twice: the first is as good as the second.
            countries.setdefault(zone, code)
            zones.setdefault(code, []).append(zone)
    return countries, {code: tuple(names) for code, names in zones.items()}
