from __future__ import annotations

from clarion.compliance.frequency_caps import UNLIMITED, Allowance, allowances, allowances_of, is_capped
from clarion.tenancy.model import Caps, Category

NEWS = Category("news", "marketing", caps=Caps(per_day=3, per_channel_day={"sms": 1}))


def test_a_category_has_one_counter_for_all_channels_and_one_for_each():
    assert allowances(NEWS) == (
        Allowance("news", 3),
        Allowance("news:email", UNLIMITED),
        Allowance("news:push", UNLIMITED),
        Allowance("news:sms", 1),
    )


def test_a_delivery_takes_a_place_of_each_limited_counter():
    assert allowances_of(NEWS, "sms") == [Allowance("news", 3), Allowance("news:sms", 1)]
    assert allowances_of(NEWS, "email") == [Allowance("news", 3)]


def test_transactional_categories_have_no_caps_even_where_some_are_set():
    receipts = Category("receipts", "transactional", caps=Caps(per_day=1))
    assert not is_capped(receipts)
    assert allowances_of(receipts, "email") == []


def test_a_cap_of_none_a_day_is_a_cap():
    assert is_capped(Category("never", "service", caps=Caps(per_day=0)))


def test_a_limit_beyond_counting_is_no_limit():
    generous = Category("news", "marketing", caps=Caps(per_day=2**40))
    assert allowances_of(generous, "email") == []
