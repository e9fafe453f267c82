"""The price book: whose price holds, for where, and from when."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.delivery.list_prices import LIST_PRICES
from clarion.delivery.model import Message
from clarion.delivery.prices import (
    Priced,
    cheapest,
    is_free,
    price_messages,
    price_of,
    price_without_choice,
    source_of,
    unit_price,
)
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import Prices

TENANT = bytes(16)
NOW = 1_800_000_000_000


def account(kind: str = "twilio", channel: str = "sms", **fields: Any) -> ProviderConfig:
    return ProviderConfig(fields.pop("name", kind), TENANT, kind, channel, {}, {}, **fields)


def text(body: str, to: str = "+33612345678") -> Message:
    return Message(bytes(16), TENANT, "sms", 1, to=to, body=body)


def test_an_account_without_a_price_pays_the_list_price_of_its_kind():
    assert price_of(account("ses", "email"), "gmail.com", 1, NOW) == 100
    assert price_of(account("vonage"), "US", 2, NOW) == 2 * 8090


def test_the_accounts_own_price_comes_before_the_list_and_its_country_before_its_default():
    mine = account(cost_micros=5_000, prices=(Prices(by_country={"FR": 60_000}),))
    assert [price_of(mine, place, 1, NOW) for place in ("FR", "US", "*")] == [60_000, 5_000, 5_000]
    free = account(cost_micros=0)
    assert price_of(free, "US", 3, NOW) == 0


def test_a_change_holds_from_its_time_on_as_a_whole():
    mine = account(
        cost_micros=5_000,
        prices=(Prices(by_country={"FR": 60_000}), Prices(4_000, {"DE": 70_000}, from_ms=NOW)),
    )
    assert [unit_price(mine, place, NOW - 1) for place in ("FR", "DE", "US")] == [60_000, 5_000, 5_000]
    assert [unit_price(mine, place, NOW) for place in ("FR", "DE", "US")] == [4_000, 70_000, 4_000]


@pytest.mark.parametrize(
    ("body", "segments"), [("a" * 160, 1), ("a" * 161, 2), ("é" * 70 + "ж", 2), ("👍", 1)]
)
def test_a_text_is_paid_by_the_segment_at_the_price_of_its_country(body: str, segments: int):
    mine = account(prices=(Prices(by_country={"FR": 50_000}),))
    assert price_messages(mine, [text(body)], NOW) == [Priced(50_000 * segments, segments, "FR")]


def test_an_email_is_paid_whole_however_long():
    mine = account("sendgrid", "email")
    message = Message(bytes(16), TENANT, "email", 1, to="a@example.org", text="x" * 10_000)
    assert price_messages(mine, [message], NOW) == [Priced(900)]


@pytest.mark.parametrize("kind", ["smtp", "fcm", "apns", "webpush", "sandbox", "of-another-package"])
def test_what_costs_nothing_is_known_to(kind: str):
    assert is_free(account(kind))
    assert not is_free(account(kind, cost_micros=1))
    assert not is_free(account(kind, prices=(Prices(by_country={"FR": 1}),)))


def test_an_account_may_be_free_where_its_kind_is_not():
    assert is_free(account("twilio", cost_micros=0))
    assert not is_free(account("twilio"))


def test_every_list_price_says_where_it_was_read():
    assert all(entry.source for entries in LIST_PRICES.values() for entry in entries)
    assert all(list(entries) == sorted(entries, key=lambda e: e.from_ms) for entries in LIST_PRICES.values())
    assert "read 2026-" in source_of(account("plivo"), NOW)
    assert source_of(account(cost_micros=3), NOW) == "account"


def test_what_choosing_saves_is_told_against_the_mean():
    both = [account("twilio", cost_micros=8_000), account("plivo", cost_micros=6_000)]
    assert cheapest([*both, account("sandbox", enabled=False)], "sms", "FR", NOW) == 6_000
    assert price_without_choice(both, Priced(12_000, 2, "FR"), NOW) == 14_000
    assert cheapest([], "sms", "FR", NOW) == 0
