"""The last look before the call: what the laws of where a user may be make of a delivery that is due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.compliance.rulebook import bundled_rulebook
from clarion.contracts.work import WorkItem
from clarion.delivery.model import Job
from clarion.delivery.permission import cap_requests, capped, quiet_until, refused
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.model import DEFAULT_CATEGORIES, Category, ComplianceSettings, QuietHours, Tenant

SECURITY, TRANSACTIONAL, SERVICE, MARKETING = DEFAULT_CATEGORIES
SMS = 4
RULESET = bundled_rulebook().version


def utc_ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = utc_ms("2026-06-03T16:00")  # in Miami
EVENING = utc_ms("2026-06-03T00:10")  # ten past eight, the day before


def due(channel: str = "sms", **changes: Any) -> Job:
    """A delivery to somebody in Florida."""
    item = WorkItem(b"d" * 16, b"t" * 16, channel, 5, 0)
    fields: dict[str, Any] = {
        "item": item,
        "user_id": 7,
        "category": "marketing",
        "template": "",
        "template_version": 0,
        "payload": b"{}",
        "personalization": b"{}",
        "external_id": "ada",
        "timezone": "America/New_York",
        "language": "en",
        "country": "US",
        "region": "FL",
        "sealed": b"",
        "state": "ready",
        "lease_epoch": 0,
        "lease_live": False,
        "attempts": 0,
        "provider": "",
        "expires_ms": 0,
        "due_ms": 0,
        "traceparent": "",
    }
    return Job(**(fields | changes))


def config(**changes: Any) -> TenantConfig:
    fields: dict[str, Any] = {"quiet_hours": None}
    tenant = Tenant(b"t" * 16, "acme", **(fields | changes))
    return TenantConfig(tenant, 1, {c.name: c for c in DEFAULT_CATEGORIES}, {}, [])


def test_what_was_decided_for_this_hour_waits_if_the_law_closes_it():
    closing = quiet_until(due(), MARKETING, config(), EVENING)
    assert closing is not None
    assert (closing.status, closing.due_ms) == ("deferred", utc_ms("2026-06-03T12:00"))
    entry = closing.entry
    assert (entry.rule, entry.law, entry.ruleset) == ("quiet_hours", "us-fl-sms-marketing", RULESET)


def test_what_may_go_goes():
    assert quiet_until(due(), MARKETING, config(), NOON) is None
    assert quiet_until(due(), MARKETING, config(), NOON - 1) is None
    assert quiet_until(due("email"), MARKETING, config(), EVENING) is None


def test_quiet_hours_and_the_law_each_move_it_on():
    quiet = QuietHours(7 * 60, 9 * 60 + 30)
    closing = quiet_until(due(), MARKETING, config(quiet_hours=quiet), EVENING)
    assert closing is not None
    assert closing.due_ms == utc_ms("2026-06-03T13:30")


def test_a_user_who_moved_is_held_to_the_law_of_where_she_is_now():
    moved = due(country="FR", region="", timezone="Europe/Paris")
    sunday = utc_ms("2026-06-07T10:00")
    closing = quiet_until(moved, MARKETING, config(), sunday)
    assert closing is not None
    assert closing.due_ms == utc_ms("2026-06-08T06:00")
    assert closing.entry.law.startswith("fr-")


def test_hours_that_never_meet_end_it():
    # From nine to six in Hawaii is from half past midnight to half past nine in India.
    torn = due(region="RI", timezone="Pacific/Honolulu", phone_country="IN", phone_zones=("Asia/Kolkata",))
    closing = quiet_until(torn, MARKETING, config(), NOON)
    assert closing is not None
    assert (closing.status, closing.entry.rule) == ("blocked", "quiet_hours")


@pytest.mark.parametrize("category", [SECURITY, TRANSACTIONAL])
def test_codes_and_receipts_never_wait(category: Category):
    assert quiet_until(due(), category, config(quiet_hours=QuietHours(0, 1439)), EVENING) is None
    assert refused(due(), category, NO_CONSENT, config(), EVENING) is None
    assert cap_requests(due(), category, config(), EVENING) == []


def test_consent_is_asked_for_as_the_law_asks_for_it():
    texts = {"marketing": SMS}
    bought = ConsentState(granted=texts, implied=texts, bases={"implied_purchase": texts})
    closing = refused(due(), MARKETING, bought, config(), NOON)
    assert closing is not None
    assert (closing.status, closing.entry.rule) == ("blocked", "consent_missing")
    assert (closing.entry.law[:3], closing.entry.ruleset) == ("us-", RULESET)
    canadian = due(country="CA", region="", timezone="America/Toronto")
    assert refused(canadian, MARKETING, bought, config(), NOON) is None
    said = ConsentState(granted=texts)
    assert refused(due(), MARKETING, said, config(), NOON) is None
    strict = config(compliance=ComplianceSettings(require_proof=True))
    assert refused(due(), MARKETING, said, strict, NOON) is not None
    assert refused(due(), MARKETING, ConsentState(granted=texts, proven=texts), strict, NOON) is None


def test_what_she_switched_off_is_hers_and_no_law():
    off = due(preferences={"marketing": SMS})
    closing = refused(off, MARKETING, ConsentState(granted={"*": SMS}), config(), NOON)
    assert closing is not None
    assert (closing.entry.rule, closing.entry.law) == ("preference", "")


def test_a_cap_in_hours_takes_a_place_on_each_day_that_they_reach_into():
    wanted = [
        each for each in cap_requests(due(), MARKETING, config(), NOON) if each.scope.startswith("law:")
    ]
    assert [(each.day, each.limit) for each in wanted] == [(20260603, 3), (20260604, 3)]
    (scope,) = {each.scope for each in wanted}
    closing = capped(due(), config(), wanted[0], NOON)
    assert (closing.status, closing.due_ms) == ("deferred", utc_ms("2026-06-04T00:00"))
    assert (closing.entry.rule, closing.entry.law) == ("frequency_cap", "us-fl-sms-marketing")
    assert scope not in {each.scope for each in cap_requests(due(is_test=True), MARKETING, config(), NOON)}


def test_the_tenants_own_cap_waits_for_the_users_next_day():
    own = [each for each in cap_requests(due(), MARKETING, config(), NOON) if "law:" not in each.scope]
    assert [(each.scope, each.day, each.limit) for each in own] == [("marketing", 20260603, 3)]
    closing = capped(due(), config(), own[0], NOON)
    assert closing.due_ms == utc_ms("2026-06-04T04:00")
    assert closing.entry.law == ""
