"""What a tenant pays, may spend, and may ask of a vendor: prices, budgets and quotas, as it sets them.

Money is in millionths of the tenant's currency unit ("micros"): list prices have up to five decimals.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Period: TypeAlias = Literal["day", "month"]

DEFAULT_SOFT_SHARE: Final = 0.8


class Prices(msgspec.Struct, frozen=True):
    """What an account pays from `from_ms` (UTC ms) on, until a later entry begins: for a message, of SMS for a segment.

    `default_micros` None: the list price of its kind. `by_country` (ISO 3166-1, of phone numbers) comes before it.
    """

    default_micros: int | None = None
    by_country: dict[str, int] = {}
    from_ms: int = 0


class Ramp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a new sender's domain is warmed up: `start` messages on the day `since`, `factor` times as many each day.

    `since` is a UTC day, YYYY-MM-DD. `until`: messages a day from which on nothing is held back.
    """

    since: str
    start: int = 50
    factor: float = 2.0
    until: int = 100_000


class Quota(msgspec.Struct, frozen=True):
    """The most that an account's vendor takes: messages a second, and on one UTC day. None: not known, not limited."""

    per_s: float | None = None
    per_day: int | None = None
    ramp: Ramp | None = None

    @property
    def is_set(self) -> bool:
        """Whether it limits anything."""
        return self.per_s is not None or self.per_day is not None or self.ramp is not None


NO_QUOTA: Final = Quota()


class Budget(msgspec.Struct, frozen=True):
    """The most that a tenant spends in one period of its own time zone.

    What counts is what is spent on `channel` and in `category` ("": all). At `soft_share` of the limit it alarms, once
    a period. At the limit it stops marketing; with a category it is that category's own cap, and stops it whatever its
    class. So a campaign never takes the money of one-time codes, which only their own cap can stop.
    """

    name: str
    limit_micros: int
    period: Period = "day"
    channel: str = ""
    category: str = ""
    soft_share: float = DEFAULT_SOFT_SHARE


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When text messages to one block of numbers are held to be pumped, and stopped.

    Within an hour more than `floor`, and more than `factor` times the block's hourly mean of the day before. Only
    transactional ones are counted and stopped: these are what strangers can set off, through a tenant's own forms.
    """

    enabled: bool = True
    factor: float = 10.0
    floor: int = 300


class Spending(msgspec.Struct, frozen=True):
    """All limits on a tenant's spending."""

    budgets: tuple[Budget, ...] = ()
    guard: Guard = Guard()


UNLIMITED: Final = Spending()
