from __future__ import annotations

from datetime import UTC, datetime

from clarion.compliance.evaluate import Allow, Block, Defer, Facts, decide_one
from clarion.compliance.jurisdictions import Places
from clarion.compliance.model import ConsentState
from clarion.compliance.quiet_hours import windows_of
from clarion.compliance.rulebook import bundled_rulebook
from clarion.compliance.rules import Rule
from clarion.tenancy.model import DEFAULT_CATEGORIES, QuietHours

BOOK = bundled_rulebook()
SECURITY, _, _, MARKETING = DEFAULT_CATEGORIES
GRANTED = ConsentState(granted={"marketing": 7})
FLORIDA = Facts(Places(("US-FL",), ("America/New_York",)), GRANTED)


def at(*when: int) -> int:
    return int(datetime(*when, tzinfo=UTC).timestamp() * 1000)


EVENING, MORNING = at(2026, 11, 24, 1, 30), at(2026, 11, 24, 13)
"""20:30 in New York, and 8:00 there on the next day."""


def test_in_the_evening_florida_waits_for_the_morning():
    verdict = decide_one(EVENING, FLORIDA, "sms", MARKETING, BOOK)
    assert verdict == Defer(MORNING, Rule.QUIET_HOURS, "us-fl-sms-marketing")
    assert decide_one(MORNING, FLORIDA, "sms", MARKETING, BOOK) == Allow()


def test_a_one_time_code_goes_at_once_even_after_stop():
    stopped = Facts(FLORIDA.places, ConsentState(suppressed=7))
    assert decide_one(EVENING, stopped, "sms", SECURITY, BOOK) == Allow()
    assert decide_one(EVENING, stopped, "email", SECURITY, BOOK) == Block(
        Rule.SUPPRESSED, "any-transactional"
    )


def test_the_fourth_text_of_a_day_waits_until_the_first_is_a_day_old():
    sent = tuple(at(2026, 11, 24, hour) for hour in (14, 15, 16))
    facts = Facts(FLORIDA.places, GRANTED, sent_ms=sent)
    verdict = decide_one(at(2026, 11, 24, 18), facts, "sms", MARKETING, BOOK)
    assert verdict == Defer(at(2026, 11, 25, 14), Rule.FREQUENCY_CAP, "us-fl-sms-marketing")


def test_a_cap_that_ends_at_night_waits_for_the_morning_too():
    sent = tuple(at(2026, 11, 24, 23, minute) for minute in (1, 2, 3))
    facts = Facts(Places(("US-FL",), ("America/Los_Angeles", "America/New_York")), GRANTED, sent_ms=sent)
    verdict = decide_one(at(2026, 11, 24, 23, 30), facts, "sms", MARKETING, BOOK)
    assert verdict == Defer(at(2026, 11, 25, 23, 1), Rule.FREQUENCY_CAP, "us-fl-sms-marketing")


def test_both_clocks_have_to_be_open():
    facts = Facts(Places(("US-FL",), ("America/New_York", "Pacific/Honolulu")), GRANTED)
    # 8:00 in Honolulu is 13:00 in New York.
    assert decide_one(MORNING, facts, "sms", MARKETING, BOOK) == Defer(
        at(2026, 11, 24, 18), Rule.QUIET_HOURS, "us-sms-marketing"
    )


def test_hours_that_never_meet_block():
    facts = Facts(Places(("US-RI",), ("Asia/Tokyo", "America/New_York")), GRANTED)
    assert decide_one(MORNING, facts, "sms", MARKETING, BOOK) == Block(Rule.QUIET_HOURS, "us-sms-marketing")


def test_quiet_hours_of_her_own_hold_beside_the_law():
    quiet = windows_of(QuietHours(8 * 60, 12 * 60))
    facts = Facts(FLORIDA.places, GRANTED, quiet=quiet, quiet_zone="America/New_York")
    assert decide_one(EVENING, facts, "sms", MARKETING, BOOK) == Defer(
        at(2026, 11, 24, 17), Rule.QUIET_HOURS, "us-fl-sms-marketing"
    )
    assert decide_one(MORNING, facts, "sms", MARKETING, BOOK) == Defer(
        at(2026, 11, 24, 17), Rule.QUIET_HOURS, ""
    )
    assert decide_one(MORNING, facts, "sms", SECURITY, BOOK) == Allow()


def test_quiet_hours_that_leave_nothing_of_the_law_block():
    quiet = windows_of(QuietHours(6 * 60, 21 * 60))
    facts = Facts(FLORIDA.places, GRANTED, quiet=quiet, quiet_zone="America/New_York")
    assert decide_one(MORNING, facts, "sms", MARKETING, BOOK) == Block(Rule.QUIET_HOURS, "")


def test_what_waits_past_the_day_of_a_new_rule_is_held_to_it():
    """Until the end of August 2025 eight o'clock would do for Texas, from then on (UTC) it is nine."""
    texas = Facts(Places(("US-TX",), ("Europe/London",)), GRANTED)
    night = at(2025, 8, 31, 23)
    assert decide_one(night, texas, "sms", MARKETING, BOOK) == Defer(
        at(2025, 9, 1, 8), Rule.QUIET_HOURS, "us-sms-marketing"
    )
