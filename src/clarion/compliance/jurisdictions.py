"""Where a user may be: whose laws and which clocks a message to her has to respect.

Nothing that is known of a user says for certain where she reads. Her profile names a country and a state, her number
and her time zone have countries of their own. Each of these that is plausible has its say: what one of them forbids is
forbidden, so knowing another place never loosens anything.

A jurisdiction is a country (ISO 3166-1 alpha-2, `DE`), a state of a country whose states have rules (`US-FL`), such a
country with the state unknown (`US-*`: all of its states), or `??`: a place that nobody knows (all rules there are).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from clarion.kernel.local_time import find_zone

UNKNOWN: Final = "??"
"""The jurisdiction of which nothing is known: every rule there is applies."""

ANY_STATE: Final = "*"

_CACHED: Final = 65_536
"""Places are few, users many: a place is worked out once, not once a draft."""


class Whereabouts(msgspec.Struct, frozen=True, array_like=True):
    """What is known of where a user is. "" and (): not known.

    `country` and `region` (state, province: a code or a name) of her profile, `timezone` (IANA) of her profile,
    `phone_country` (ISO 3166-1) and `phone_zones` (IANA; several where the number may be from any of them).
    """

    country: str = ""
    region: str = ""
    timezone: str = ""
    phone_country: str = ""
    phone_zones: tuple[str, ...] = ()


class Places(msgspec.Struct, frozen=True):
    """Every jurisdiction and every time zone (both at least one, sorted) that has to allow a message."""

    jurisdictions: tuple[str, ...]
    zones: tuple[str, ...]


class AtlasTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`zones.toml`: per country one zone for each way its clocks go, and per zone its countries."""

    countries: dict[str, tuple[str, ...]]
    zones: dict[str, tuple[str, ...]]


class Atlas:
    """Which countries and states there are, and which clocks they have. Immutable."""

    def __init__(self, table: AtlasTable, states: Mapping[str, Mapping[str, str]]) -> None:
        """`states`: by country whose states have rules, the name of each by its code (`{"US": {"FL": "Florida"}}`)."""
        self._table = table
        self._codes = {
            country: {alias.casefold(): code for code, name in names.items() for alias in (code, name)}
            for country, names in states.items()
        }
        self.plausible = lru_cache(_CACHED)(self._plausible)

    def _plausible(self, where: Whereabouts, tenant_country: str, tenant_timezone: str) -> Places:
        """Every place that a user may be in; the tenant's own where nothing at all is known of her.

        A zone that no clock knows counts as not told. Never raises.
        """
        jurisdictions = self._jurisdictions(where)
        if not jurisdictions:
            jurisdictions = {self._of_country(tenant_country, "")} if tenant_country else {UNKNOWN}
        zones = self._zones(where) or _known((tenant_timezone,)) or {"UTC"}
        return Places(tuple(sorted(jurisdictions)), tuple(sorted(zones)))

    def zones_of(self, country: str) -> frozenset[str]:
        """One zone for each way in which the clocks of a country go; none of an unknown country."""
        return frozenset(self._table.countries.get(country.upper(), ()))

    def countries_of(self, zone: str) -> frozenset[str]:
        """The countries whose clocks a zone names; none of `UTC` and its like."""
        return frozenset(self._table.zones.get(zone, ()))

    def _jurisdictions(self, where: Whereabouts) -> set[str]:
        found: set[str] = set()
        home = where.country.upper()
        if home:
            found.add(self._of_country(home, where.region))
        for country in {where.phone_country.upper(), *self.countries_of(where.timezone)} - {home}:
            # A number without a country (satellites, 800 numbers) says nothing of where she is.
            if country in self._table.countries:
                found.add(self._of_country(country, ""))
        return found

    def _of_country(self, country: str, region: str) -> str:
        country = country.upper()
        if country not in self._table.countries:
            return UNKNOWN
        codes = self._codes.get(country)
        if codes is None:
            return country
        spelled = region.strip().casefold().removeprefix(f"{country.casefold()}-")
        return f"{country}-{codes.get(spelled, ANY_STATE)}"

    def _zones(self, where: Whereabouts) -> set[str]:
        """The profile's zone; what contradicts it has its say too, what it only makes more precise has not."""
        zones = _known((where.timezone,))
        by_number = _known(where.phone_zones) or set(self.zones_of(where.phone_country))
        if not zones & by_number:
            zones |= by_number
        home = where.country.upper()
        if not any(home in self.countries_of(zone) for zone in zones):
            zones |= self.zones_of(home)
        return zones


def _known(zones: Iterable[str]) -> set[str]:
    return {zone for zone in zones if zone and find_zone(zone) is not None}
