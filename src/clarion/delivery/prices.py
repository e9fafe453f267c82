"""The price book: what a message costs through an account, to a destination, at a time. Pure.

    account's own price for the country ─▶ its default ─▶ the list's price for the country ─▶ the list's

SMS is priced by the segment, all else by the message. Prices are in micros (`tenancy.spending`); what one message costs
is known before it is sent, so that budgets can be held, and is recorded with its attempt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from clarion.delivery.destinations import ANYWHERE, country_of
from clarion.delivery.list_prices import LIST_PRICES, ListPrice
from clarion.delivery.model import Message
from clarion.delivery.sms_segments import size_sms
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import Prices

_FREE: Final = ListPrice(0, "")
_NONE: Final = Prices()


class Priced(msgspec.Struct, frozen=True, gc=False):
    """A message's price through an account. `destination`: the country of a text message, ANYWHERE of all else."""

    micros: int = 0
    segments: int = 1
    destination: str = ANYWHERE


_NOTHING: Final = Priced()


def price_of(account: ProviderConfig, destination: str, segments: int, at_ms: int) -> int:
    """The price in micros of one message of `segments` segments (1 unless it is SMS), sent at `at_ms` (UTC ms)."""
    return unit_price(account, destination, at_ms) * (segments if account.channel == "sms" else 1)


def unit_price(account: ProviderConfig, destination: str, at_ms: int) -> int:
    """The price in micros of a message, of SMS of a segment, to a destination (`destinations.destination_of`)."""
    own = _own(account.prices, at_ms)
    micros = own.by_country.get(destination, own.default_micros)
    if micros is None:
        micros = account.cost_micros
    if micros is None:
        listed = _listed(account.kind, at_ms)
        micros = listed.by_country.get(destination, listed.micros)
    return micros


def is_free(account: ProviderConfig) -> bool:
    """Whether no message through the account ever costs anything, as far as is known now."""
    if any(entry.default_micros or any(entry.by_country.values()) for entry in account.prices):
        return False
    if account.cost_micros is not None:
        return account.cost_micros == 0
    return not any(entry.micros or entry.by_country for entry in LIST_PRICES.get(account.kind, ()))


def price_messages(account: ProviderConfig, messages: Iterable[Message], at_ms: int) -> list[Priced]:
    """What each message costs through the account, in order."""
    if account.channel == "sms":
        return [_price_text(account, message, at_ms) for message in messages]
    flat = Priced(unit_price(account, ANYWHERE, at_ms))
    flat = _NOTHING if flat == _NOTHING else flat
    return [flat for _ in messages]


def cheapest(accounts: Iterable[ProviderConfig], channel: str, country: str, at_ms: int) -> int:
    """The least that a message of one segment costs on a channel through any enabled account; 0 where there is none."""
    prices = [
        unit_price(account, country or ANYWHERE, at_ms)
        for account in accounts
        if account.enabled and account.channel == channel
    ]
    return min(prices, default=0)


def price_without_choice(accounts: Sequence[ProviderConfig], priced: Priced, at_ms: int) -> int:
    """What a message would cost if its provider were drawn by lot: the mean over the channel's enabled accounts."""
    if not accounts:
        return priced.micros
    units = sum(unit_price(account, priced.destination, at_ms) for account in accounts)
    return units * priced.segments // len(accounts)


def source_of(account: ProviderConfig, at_ms: int) -> str:
    """Where the account's default price comes from, for people."""
    if _own(account.prices, at_ms).default_micros is not None or account.cost_micros is not None:
        return "account"
    return _listed(account.kind, at_ms).source or "unknown kind: free unless the account says otherwise"


def _price_text(account: ProviderConfig, message: Message, at_ms: int) -> Priced:
    country = country_of(message.to)
    # A text that is to be refused for being empty counts as one segment until it is.
    segments = max(1, size_sms(message.body).segments)
    return Priced(unit_price(account, country, at_ms) * segments, segments, country)


def _own(entries: Sequence[Prices], at_ms: int) -> Prices:
    """The last entry that has begun."""
    return next((entry for entry in reversed(entries) if entry.from_ms <= at_ms), _NONE)


def _listed(kind: str, at_ms: int) -> ListPrice:
    entries = LIST_PRICES.get(kind, ())
    return next((entry for entry in reversed(entries) if entry.from_ms <= at_ms), _FREE)
