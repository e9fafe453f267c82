"""By whose clock a person lives: her own zone, else her tenant's, else her country's. UTC only where it is meant.

The time zone is worth more than any model: on first-ever days, a window of three hours placed by local time catches
23 % of what people do, the same one placed by UTC 16 %.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np

from clarion.intelligence.features.signs import Signs
from clarion.kernel.local_time import IntArray, find_zone, offsets_ms

MOST_PEOPLE: Final = {
    "AQ": "Antarctica/McMurdo",
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "FM": "Pacific/Chuuk",
    "GL": "America/Nuuk",
    "ID": "Asia/Jakarta",
    "KI": "Pacific/Tarawa",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "MX": "America/Mexico_City",
    "NZ": "Pacific/Auckland",
    "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby",
    "PT": "Europe/Lisbon",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UM": "Pacific/Midway",
    "US": "America/New_York",
}
"""Of countries with several clocks, the zone in which most people live (US: 47 % of them, RU: 66 %)."""

_KNOWN_HOMES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Home:
    """Where a user is at home: her tenant, and what is known of her place and of the tenant's ("": not told)."""

    tenant_id: bytes
    timezone: str = ""
    country: str = ""
    tenant_timezone: str = ""
    tenant_country: str = ""


class Clocks:
    """Finds zones. Holds nothing but a bounded cache of what it found."""

    def __init__(self, zones_of: Callable[[str], Iterable[str]]) -> None:
        """`zones_of`: the zones of a country by its code, one for each way its clocks go."""
        self._zones_of = zones_of
        self.zone = lru_cache(_KNOWN_HOMES)(self._zone)

    def _zone(self, home: Home) -> str:
        """The zone (IANA) by whose clock somebody lives; "UTC" only where neither she nor her tenant says more.

        A tenant's UTC is what it has when it says nothing, and counts after the country. A zone that no clock knows
        counts as not told.
        """
        tenant = "" if home.tenant_timezone in {"UTC", "Etc/UTC"} else home.tenant_timezone
        told = (home.timezone, tenant, self._of_country(home.country), self._of_country(home.tenant_country))
        return next((name for name in told if name and find_zone(name)), "UTC")

    def _of_country(self, country: str) -> str:
        code = country.upper()
        return MOST_PEOPLE.get(code) or next(iter(self._zones_of(code)), "") if code else ""


def offsets_in(zones: Sequence[str], at_ms: IntArray) -> IntArray:
    """How far the clocks of `zones` [N] are ahead of UTC at `at_ms` [N], in ms."""
    offsets: IntArray = np.zeros(len(at_ms), np.int64)
    names, place = np.unique(np.array(zones, dtype=np.str_), return_inverse=True)
    for index, name in enumerate(names.tolist()):
        mine = place == index
        offsets[mine] = offsets_ms(name, at_ms[mine])
    return offsets


def at_home(signs: Signs, homes: dict[int, Home], clocks: Clocks) -> Signs:
    """Signs of users who are at home somewhere, by their local clocks; those of others are left out."""
    zone_of = {user_id: clocks.zone(home) for user_id, home in homes.items()}
    user_ids: list[int] = signs.user_id.tolist()
    known = [index for index, user_id in enumerate(user_ids) if user_id in zone_of]
    found = signs.where(np.array(known, np.int64)) if len(known) < len(user_ids) else signs
    return replace(found, offset_ms=offsets_in([zone_of[user_ids[index]] for index in known], found.at_ms))
