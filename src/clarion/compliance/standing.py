"""Where one message stands: the law that holds for it, and the clocks on which its hours are read.

The questions that are asked of the rules for message after message, with answers that are kept: users share places,
places share hours, and an instant lasts a minute.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from clarion.compliance import quiet_hours
from clarion.compliance.jurisdictions import Places, Whereabouts
from clarion.compliance.opening_hours import OpenHours, closed_by, first_open_ms, is_open
from clarion.compliance.quiet_hours import Windows
from clarion.compliance.rulebook import Law, bundled_rulebook
from clarion.kernel.local_time import MINUTE_MS
from clarion.tenancy.model import Category, Tenant

_ROUNDS: Final = 64
"""Opening and quiet hours each move a message on, twice a day at most: what finds no minute in a month never will."""

_CACHED: Final = 16_384


class Standing(NamedTuple):
    """The law, and the places that have a say in it."""

    law: Law
    places: Places


def standing_of(where: Whereabouts, tenant: Tenant, category: Category, at_ms: int) -> Standing:
    """Where a tenant's message of a category to somebody who may be `where` stands at an instant (UTC ms)."""
    book = bundled_rulebook()
    places = book.atlas.plausible(where, tenant.country, tenant.timezone)
    return Standing(book.law(places, category, tenant.compliance, at_ms), places)


@lru_cache(_CACHED)
def is_open_at(hours: OpenHours, zones: tuple[str, ...], minute: int) -> bool:
    """Whether hours are open on every clock in a minute (since 1970, UTC)."""
    return is_open(hours, zones, minute * MINUTE_MS)


@lru_cache(_CACHED)
def closing_rule(opening: tuple[OpenHours, ...], zones: tuple[str, ...], minute: int) -> str:
    """The first rule by whose hours a minute (since 1970, UTC) is closed; "" where none is."""
    return closed_by(opening, zones, minute * MINUTE_MS)


class Openness(NamedTuple):
    """When a message may go: in the law's hours on all clocks, and outside quiet hours on one of them."""

    hours: OpenHours | None
    zones: tuple[str, ...]
    quiet_zone: str
    quiet: Windows

    def first_ms(self, at_ms: int) -> int | None:
        """The first instant from `at_ms` on (UTC ms; itself, or the start of a minute) that suits all; None: none does.

        Raises LookupError where `quiet_zone` is no zone.
        """
        for _ in range(_ROUNDS):
            open_ms = at_ms if self._is_open(at_ms) else first_open_ms(self.hours, self.zones, at_ms)
            if open_ms is None:
                return None
            calm_ms = quiet_hours.first_allowed_ms(self.quiet_zone, open_ms, self.quiet)
            if calm_ms is None or calm_ms == open_ms:
                return calm_ms
            at_ms = calm_ms
        return None

    def _is_open(self, at_ms: int) -> bool:
        return self.hours is None or is_open_at(self.hours, self.zones, at_ms // MINUTE_MS)
