"""The rules as data: never inside a forbidden window, never looser for knowing more, on any night of any zone."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.jurisdictions import (
    ELSEWHERE,
    EU,
    US_STATES,
    Places,
    Whereabouts,
    country_of,
    find_places,
)
from clarion.compliance.model import ConsentState
from clarion.compliance.rulebook import RuleText, read_rulebook, rulebook
from clarion.compliance.rules import refusals
from clarion.compliance.windows import SEARCH_DAYS, Opening, forbidden_spans, is_allowed
from clarion.contracts.channels import CHANNELS
from clarion.kernel.errors import Permanent
from clarion.tenancy.model import CategoryClass, ComplianceSettings, QuietHours
from tools.holidays_table import holidays_table

BOOK: Final = rulebook()
MINUTE_MS: Final = 60_000
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2030, 12, 31, tzinfo=UTC)
ZONES: Final = sorted(zone for zone in available_timezones() if country_of(zone))
STRICT: Final = ComplianceSettings()
HOLIDAYS: Final = tomllib.loads((files("clarion.compliance") / "rules" / "holidays.toml").read_text())
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

instants = st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)).map(
    lambda at: int(at.replace(tzinfo=UTC).timestamp() * 1000)
)
countries = st.sampled_from(
    ["", "US", "CA", "DE", "FR", "GB", "AU", "IN", "AE", "BR", "us", "??", "PR", "ES"]
)
regions = st.sampled_from(["", *(f"US-{state}" for state in sorted(US_STATES)), "fl", "Bavaria", "US-ZZ"])
zones = st.sampled_from(["", "UTC", "Etc/GMT+5", "Not/AZone", "/etc/passwd", *ZONES])
users = st.builds(Whereabouts, countries, regions, zones, countries)
classes = st.sampled_from(["marketing", "service", "transactional"])
channels = st.sampled_from(CHANNELS)
masks = st.dictionaries(st.sampled_from(["marketing", "*"]), st.integers(0, 7), max_size=2)


def allows(rule: RuleText, zone: str, at_ms: int, places: Places) -> bool:
    """Whether one rule's windows allow an instant: another way to say it, by the wall clock of Python's own zones."""
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    if rule.windows.get("holidays") == "closed":
        for place in set(rule.jurisdictions) & set(places.jurisdictions):
            if local.date() in HOLIDAYS.get(place, ()):
                return False
    text = rule.windows.get(WEEKDAYS[local.weekday()], rule.windows.get("all", "00:00-24:00"))
    if text == "closed":
        return False
    begin, end = text.split("-")
    return begin <= local.strftime("%H:%M") < end


def oracle(places: Places, class_: CategoryClass, channel: str, at_ms: int, *, manners: bool) -> bool:
    rules = BOOK.holding(places.jurisdictions, class_, channel, at_ms)
    return all(
        allows(rule, zone, at_ms, places)
        for rule in rules
        if rule.windows and (rule.law or manners)
        for zone in places.zones
    )


@lru_cache
def changes(zone: str) -> list[int]:
    """The instants (UTC ms, to the hour) around which a zone's clocks change between 2024 and 2030."""
    found: list[int] = []
    known, at = ZoneInfo(zone), FIRST
    while at < LAST:
        later = at + timedelta(days=1)
        if at.astimezone(known).utcoffset() != later.astimezone(known).utcoffset():
            found.append(int(at.timestamp() * 1000))
        at = later
    return found


@given(users, classes, channels, instants, st.booleans())
def test_an_instant_is_allowed_where_every_rule_of_every_place_allows_it(
    user: Whereabouts,
    class_: CategoryClass,
    channel: str,
    at_ms: int,
    manners: bool,  # noqa: FBT001  hypothesis gives it
):
    places = find_places(user, "US", "Europe/Paris")
    terms = BOOK.terms_of(places.jurisdictions, class_, at_ms).by_channel[channel]
    week = terms.window(ComplianceSettings(default_windows=manners))
    assert is_allowed(week, places.zones, at_ms) == oracle(places, class_, channel, at_ms, manners=manners)


@given(
    users, channels, instants, st.none() | st.builds(QuietHours, st.integers(0, 1439), st.integers(0, 1439))
)
def test_what_is_put_off_is_put_off_to_where_it_may_go(
    user: Whereabouts, channel: str, at_ms: int, quiet: QuietHours | None
):
    places = find_places(user)
    terms = BOOK.terms_of(places.jurisdictions, "marketing", at_ms).by_channel[channel]
    week = terms.window(STRICT)
    windows = (quiet,) if quiet and quiet.start_min != quiet.end_min else ()
    until_ms = Opening(week, places.zones, places.zones[0], windows).first_allowed_ms(at_ms)
    if until_ms is None:
        for minute in range(0, SEARCH_DAYS * 1440, 97):
            later = at_ms + minute * MINUTE_MS
            assert quiet is not None or not is_allowed(week, places.zones, later)
        return
    assert until_ms >= at_ms
    assert is_allowed(week, places.zones, until_ms)
    assert oracle(places, "marketing", channel, until_ms, manners=True)
    if not windows and until_ms > at_ms:
        assert not is_allowed(week, places.zones, until_ms - MINUTE_MS) or until_ms - at_ms < MINUTE_MS


@given(users, st.sampled_from(["sms", "email"]), instants, st.integers(1, 60))
def test_spans_and_instants_agree(user: Whereabouts, channel: str, at_ms: int, length: int):
    places = find_places(user)
    week = BOOK.terms_of(places.jurisdictions, "marketing", at_ms).by_channel[channel].window(STRICT)
    start = np.array([at_ms // MINUTE_MS * MINUTE_MS], np.int64)
    forbidden = bool(forbidden_spans(week, places.zones, start, np.array([length]))[0])
    inside = [is_allowed(week, places.zones, int(start[0]) + m * MINUTE_MS) for m in range(length)]
    # Where clocks change inside the span the wall clock of its start counts: stricter or equal but for that hour.
    if not any(abs(change - at_ms) < 86_400_000 * 2 for zone in places.zones for change in changes(zone)):
        assert forbidden == (not all(inside))


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Europe/Paris", "Australia/Lord_Howe", "America/Santiago", "Asia/Gaza"]
)
def test_no_night_of_a_clock_change_opens_a_window(zone: str):
    nights = changes(zone)
    assert nights
    places = Places(("FR", EU, "US", "US-RI"), (zone,))
    for night in nights:
        for minute in range(0, 2880, 15):
            at_ms = night + minute * MINUTE_MS
            terms = BOOK.terms_of(places.jurisdictions, "marketing", at_ms).by_channel["sms"]
            assert is_allowed(terms.week, places.zones, at_ms) == oracle(
                places, "marketing", "sms", at_ms, manners=False
            )


@given(users, users, channels, instants)
def test_another_jurisdiction_never_loosens(one: Whereabouts, two: Whereabouts, channel: str, at_ms: int):
    some, others = find_places(one), find_places(two)
    both = Places(
        tuple(sorted({*some.jurisdictions, *others.jurisdictions})),
        tuple(sorted({*some.zones, *others.zones})),
    )
    alone = BOOK.terms_of(some.jurisdictions, "marketing", at_ms).by_channel[channel]
    together = BOOK.terms_of(both.jurisdictions, "marketing", at_ms).by_channel[channel]
    if is_allowed(together.week, both.zones, at_ms):
        assert is_allowed(alone.week, some.zones, at_ms)
    assert together.needs_consent >= alone.needs_consent
    assert together.takes_implied <= alone.takes_implied
    assert bool(together.needs_proof) >= bool(alone.needs_proof)
    assert set(together.must_contain) >= set(alone.must_contain)
    if alone.cap:
        assert together.cap
        assert together.cap.count / together.cap.hours <= alone.cap.count / alone.cap.hours


@given(
    users, instants, st.builds(ConsentState, masks, masks, st.integers(0, 7), masks, masks), st.integers(0, 7)
)
def test_a_suppression_never_frees(user: Whereabouts, at_ms: int, consent: ConsentState, more: int):
    terms = BOOK.terms_of(find_places(user).jurisdictions, "marketing", at_ms)

    def refused(state: ConsentState) -> int:
        suppressed, denied, missing = refusals("marketing", "marketing", state)
        return suppressed | denied | missing | terms.unmet("marketing", state, STRICT)

    worse = ConsentState(
        consent.granted, consent.denied, consent.suppressed | more, consent.implied, consent.proven
    )
    assert refused(worse) & refused(consent) == refused(consent)


@pytest.mark.parametrize(
    ("user", "jurisdictions"),
    [
        (Whereabouts("US", "FL"), ("US", "US-FL")),
        (Whereabouts("US"), ("US", "US-?")),
        (Whereabouts("", "", "America/Chicago"), ("US", "US-?")),
        (Whereabouts("FR", phone_country="US"), ("EU", "FR", "US", "US-?")),
        (Whereabouts("BR"), (ELSEWHERE,)),
        (Whereabouts("xx", "", "Nowhere/Land"), (ELSEWHERE,)),
        (Whereabouts("PR"), ("US", "US-PR")),
        (Whereabouts("uk"), ("GB",)),
        (Whereabouts("", "", "Etc/GMT+5"), (ELSEWHERE,)),
    ],
)
def test_where_somebody_may_be(user: Whereabouts, jurisdictions: tuple[str, ...]):
    assert find_places(user).jurisdictions == jurisdictions


def test_who_is_nowhere_is_where_her_tenant_is():
    assert find_places(Whereabouts(), "DE", "Europe/Berlin") == Places(("DE", "EU"), ("Europe/Berlin",))


def test_nobody_knows_which_american_clock():
    assert len(find_places(Whereabouts("US")).zones) == 8
    assert find_places(Whereabouts("US", "", "America/Chicago")).zones == ("America/Chicago",)


def test_an_implied_grant_is_enough_only_where_the_law_says_so():
    implied = ConsentState({"marketing": 7}, {}, 0, {"marketing": 7}, {})
    at_ms = int(FIRST.timestamp() * 1000)
    for places, unmet in ((("CA",), 0b010), (("US", "US-FL"), 0b110), ((ELSEWHERE,), 0b111)):
        named = {channel for bit, channel in enumerate(CHANNELS) if unmet >> bit & 1}
        mask = BOOK.terms_of(places, "marketing", at_ms).unmet("marketing", implied, STRICT)
        assert {channel for bit, channel in enumerate(CHANNELS) if mask >> bit & 1} == named, places


def test_proof_is_asked_for_only_by_tenants_who_want_to_be_held_to_it():
    said = ConsentState({"marketing": 7})
    proven = ConsentState({"marketing": 7}, {}, 0, {}, {"marketing": 7})
    at_ms = int(FIRST.timestamp() * 1000)
    terms = BOOK.terms_of(("US", "US-FL"), "marketing", at_ms)
    assert terms.unmet("marketing", said, STRICT) == 0
    held = ComplianceSettings(require_proof=True)
    assert terms.unmet("marketing", said, held) == 1 << CHANNELS.index("sms")
    assert terms.unmet("marketing", proven, held) == 0


def test_a_rule_holds_from_its_day_on():
    before, after = (int(datetime(2025, 8, d, tzinfo=UTC).timestamp() * 1000) for d in (1, 31))
    september = after + 2 * 86_400_000
    for at_ms, held in ((before, False), (after, False), (september, True)):
        rules = BOOK.terms_of(("US", "US-TX"), "marketing", at_ms).by_channel["sms"].rules
        assert ("us-tx-sms-marketing" in rules) == held


def test_the_holidays_are_those_of_the_library():
    shown = (files("clarion.compliance") / "rules" / "holidays.toml").read_text()
    assert shown == holidays_table()
    assert date(2026, 7, 14) in HOLIDAYS["FR"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[rule]]\nid = 'x'", "jurisdictions"),
        ("version = ", "Invalid"),
        ("version = '1'\nrule = []\nother = 1", "other"),
        ("rule = []", "version"),
    ],
)
def test_what_is_wrong_with_a_file_of_rules_is_told(text: str, told: str):
    with pytest.raises(Permanent, match=told):
        read_rulebook({"x.toml": text}, {})
