"""What an account costs and may be asked of, as the API takes and tells it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from clarion.contracts.commands import AwareTime
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.prices import source_of, unit_price
from clarion.kernel.errors import Invalid
from clarion.orchestration.rows import format_time
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import Prices, Quota, Ramp

MICROS: Final = 1_000_000
MAX_COST: Final = 1000
MAX_CHANGES: Final = 20

Money = Annotated[float, Meta(ge=0, le=MAX_COST)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
_PerCountry: TypeAlias = dict[Country, Money]


class PriceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Prices that hold from a time on, in place of all before. `default` null: the list price of the kind."""

    from_: AwareTime
    default: Money | None = None
    by_country: _PerCountry = {}


class ProviderCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a message costs, of SMS a segment, in currency units with up to six decimals.

    `default` null: the list price of the kind. `by_country` (ISO 3166-1) comes before it. `changes`: prices to come.
    """

    default: Money | None = None
    by_country: _PerCountry = {}
    changes: Annotated[list[PriceChange], Meta(max_length=MAX_CHANGES)] = []


class ProviderRamp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a new sender's domain is warmed up: `start` messages on the UTC day `since`, `factor` times as many each day.

    All accounts that send from one domain share its day. From `until` messages a day on nothing is held back.
    """

    since: date
    start: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    factor: Annotated[float, Meta(gt=1, le=10)] = 2.0
    until: Annotated[int, Meta(ge=1, le=100_000_000)] = 100_000


class ProviderQuota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that the vendor takes: messages a second, and on one UTC day. Null: not known.

    What is over it waits. Without `per_s`, too, a vendor that throttles is asked less often until it does not.
    """

    per_s: Annotated[float, Meta(gt=0, le=1_000_000)] | None = None
    per_day: Annotated[int, Meta(ge=1, le=10_000_000_000)] | None = None
    ramp: ProviderRamp | None = None


class PriceChangeView(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Prices to come."""

    from_: str
    default: Decimal | None
    by_country: dict[str, Decimal]


class CostView(msgspec.Struct, frozen=True):
    """What a message costs now. `source`: `account`, or where the list price was read and when."""

    default: Decimal
    by_country: dict[str, Decimal]
    changes: list[PriceChangeView]
    source: str


def micros_of(amount: float) -> int:
    """An amount of money in millionths."""
    return int((Decimal(str(amount)) * MICROS).to_integral_value(ROUND_HALF_UP))


def amount_of(micros: int) -> Decimal:
    """Millionths as an amount of money."""
    return Decimal(micros) / MICROS


def prices_of(cost: ProviderCost) -> tuple[Prices, ...]:
    """Prices as they are kept, by rising time. Raises Invalid where two changes begin at the same time."""
    changes = sorted(
        (
            _prices(change.default, change.by_country, int(change.from_.timestamp() * 1000))
            for change in cost.changes
        ),
        key=lambda prices: prices.from_ms,
    )
    if len({change.from_ms for change in changes}) < len(changes):
        raise Invalid("two of them begin at the same time", "cost.changes")
    now = [_prices(None, cost.by_country, 0)] if cost.by_country else []
    return (*now, *changes)


def quota_of(quota: ProviderQuota) -> Quota:
    """A quota as it is kept."""
    ramp = quota.ramp
    kept = None if ramp is None else Ramp(ramp.since.isoformat(), ramp.start, ramp.factor, ramp.until)
    return Quota(quota.per_s, quota.per_day, kept)


def cost_view(config: ProviderConfig, now_ms: int) -> CostView:
    """What the account costs now, and what it will."""
    present = max(
        (prices for prices in config.prices if prices.from_ms <= now_ms),
        key=lambda prices: prices.from_ms,
        default=Prices(),
    )
    return CostView(
        amount_of(unit_price(config, ANYWHERE, now_ms)),
        _amounts(present.by_country),
        [
            PriceChangeView(
                format_time(prices.from_ms),
                None if prices.default_micros is None else amount_of(prices.default_micros),
                _amounts(prices.by_country),
            )
            for prices in config.prices
            if prices.from_ms > now_ms
        ],
        source_of(config, now_ms),
    )


def quota_view(quota: Quota) -> ProviderQuota:
    """A quota as it was given."""
    ramp = quota.ramp
    shown = (
        None
        if ramp is None
        else ProviderRamp(date.fromisoformat(ramp.since), ramp.start, ramp.factor, ramp.until)
    )
    return ProviderQuota(quota.per_s, quota.per_day, shown)


def _prices(default: float | None, by_country: Mapping[str, float], from_ms: int) -> Prices:
    return Prices(
        None if default is None else micros_of(default),
        {country: micros_of(amount) for country, amount in by_country.items()},
        from_ms,
    )


def _amounts(by_country: Mapping[str, int]) -> dict[str, Decimal]:
    return {country: amount_of(micros) for country, micros in sorted(by_country.items())}
