"""The rules as data: never inside a forbidden window, never looser for knowing more, on any night of any zone."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.evaluate import Allow, Block, Defer, Facts, decide_one
from clarion.compliance.jurisdictions import Places
from clarion.compliance.model import ConsentState
from clarion.compliance.opening_hours import first_open_ms, forbidden, is_open
from clarion.compliance.rulebook import bundled_rulebook, refusals
from clarion.compliance.rules import Rule
from clarion.contracts.channels import CHANNEL_INDEX, CHANNELS
from clarion.tenancy.model import DEFAULT_CATEGORIES, ComplianceSettings
from clarion.testing.rule_oracle import ZONES, ask, changes_of, draw_case, draw_consent, find_wrong, sweep

BOOK = bundled_rulebook()
MARKETING = DEFAULT_CATEGORIES[-1]
GRANTED = ConsentState(granted={"*": 7}, proven={"*": 7})
MINUTE = 60_000
HOUR = 60 * MINUTE
NOON = int(datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp() * 1000)
"""In New York."""

PLACES = (
    "US-*",
    "US-FL",
    "US-TX",
    "US-RI",
    "US-NY",
    "CA",
    "DE",
    "FR",
    "IT",
    "GB",
    "AU",
    "IN",
    "AE",
    "BR",
    "??",
)
dice = st.integers(0, 2**32).map(Random)
jurisdictions = st.sets(st.sampled_from(PLACES), min_size=1, max_size=3).map(lambda some: tuple(sorted(some)))
channels = st.sampled_from(CHANNELS)


@given(dice)
def test_a_verdict_is_that_of_rows_and_minutes(dice: Random):
    facts, channel, category, at_ms = draw_case(dice)
    verdict = decide_one(at_ms, facts, channel, category, BOOK)
    assert not find_wrong(verdict, facts, (channel, category), at_ms, walk=False)


def test_a_sweep_finds_nothing_sent_that_is_forbidden():
    """`python -m bench compliance_sweep` asks about 100 000."""
    swept = sweep(seed=2026, decisions=1500)
    assert swept.differing == 0, swept.examples
    assert min(swept.allowed, swept.deferred, swept.blocked) > 50


def test_the_oracle_is_no_friend_of_what_it_checks():
    facts, at_ms = Facts(Places(("US-FL",), ("America/New_York",)), GRANTED), NOON
    night = at_ms + 12 * HOUR
    message = ("sms", MARKETING)
    assert find_wrong(Allow(), facts, message, night, walk=False)
    assert find_wrong(Defer(night + HOUR, Rule.QUIET_HOURS, "x"), facts, message, night, walk=False)
    assert find_wrong(Block(Rule.QUIET_HOURS, "x"), facts, message, at_ms, walk=False)


@given(st.sampled_from(ZONES), jurisdictions, st.data())
def test_no_night_of_a_clock_change_opens_a_window(zone: str, places: tuple[str, ...], data: st.DataObject):
    nights = changes_of(zone) or [int(datetime(2028, 2, 29, tzinfo=UTC).timestamp() * 1000)]
    start_ms = data.draw(st.sampled_from(nights)) - 24 * HOUR + data.draw(st.integers(0, HOUR))
    facts = Facts(Places(places, (zone,)), GRANTED)
    terms = BOOK.law(facts.places, MARKETING, facts.settings, start_ms).terms[CHANNEL_INDEX["sms"]]
    for at_ms in range(start_ms, start_ms + 48 * HOUR, 29 * MINUTE):
        opened = is_open(terms.hours, (zone,), at_ms)
        assert opened == (ask(facts, "sms", MARKETING, at_ms) == "open")


@given(dice, st.integers(1, 60))
def test_a_span_is_forbidden_where_any_of_its_minutes_is(dice: Random, length: int):
    facts, channel, _, at_ms = draw_case(dice)
    hours = BOOK.law(facts.places, MARKETING, facts.settings, at_ms).terms[CHANNEL_INDEX[channel]].hours
    start = at_ms // MINUTE * MINUTE + np.arange(4, dtype=np.int64)[None, :] * HOUR
    spans = forbidden([hours], [facts.places.zones], start, np.full(4, length))[0]
    for nth, first in enumerate(start[0].tolist()):
        closed = [not is_open(hours, facts.places.zones, first + minute * MINUTE) for minute in range(length)]
        # Where clocks change within a span it may be held to more than it holds, and never to less.
        assert spans[nth] >= any(closed)
        if not near_a_change(facts.places.zones, first):
            assert spans[nth] == any(closed)


def near_a_change(zones: tuple[str, ...], at_ms: int) -> bool:
    return any(abs(change - at_ms) < 48 * HOUR for zone in zones for change in changes_of(zone))


@given(dice)
def test_rows_of_a_batch_do_not_know_one_another(dice: Random):
    cases = [draw_case(dice) for _ in range(4)]
    at_ms = cases[0][3]
    hours = [BOOK.law(f.places, MARKETING, f.settings, at_ms).terms[2].hours for f, *_ in cases]
    zones = [facts.places.zones for facts, *_ in cases]
    start = np.full((4, 1), at_ms, np.int64)
    together = forbidden(hours, zones, start, np.ones(1, np.int64))[:, 0]
    assert together.tolist() == [not is_open(h, z, at_ms) for h, z in zip(hours, zones, strict=True)]


@given(dice, jurisdictions, st.sampled_from(ZONES))
def test_another_place_never_loosens(dice: Random, more: tuple[str, ...], zone: str):
    facts, channel, category, at_ms = draw_case(dice)
    further = Places(
        tuple(sorted({*facts.places.jurisdictions, *more})), tuple(sorted({*facts.places.zones, zone}))
    )
    wider = Facts(further, facts.consent, facts.settings, facts.quiet, facts.quiet_zone, facts.sent_ms)
    one, two = (decide_one(at_ms, f, channel, category, BOOK) for f in (facts, wider))
    assert strictness(two) >= strictness(one)


def strictness(verdict: Allow | Defer | Block) -> tuple[int, int]:
    match verdict:
        case Allow():
            return 0, 0
        case Defer(until_ms):
            return 1, until_ms
        case Block():
            return 2, 0


@given(dice, st.integers(0, 7), st.integers(0, 7), st.sampled_from(["marketing", "*"]))
def test_a_suppression_or_a_refusal_never_frees(dice: Random, more: int, refused: int, name: str):
    facts, channel, category, at_ms = draw_case(dice)
    was = facts.consent
    denied = {**was.denied, name: was.denied.get(name, 0) | refused}
    now = ConsentState(was.granted, denied, was.suppressed | more, was.implied, was.proven, was.bases)
    stricter = Facts(facts.places, now, facts.settings, sent_ms=facts.sent_ms)
    one, two = (decide_one(at_ms, f, channel, category, BOOK) for f in (facts, stricter))
    assert strictness(two) >= strictness(one)


@given(dice, jurisdictions, jurisdictions)
def test_what_nobody_knows_is_held_to_all(dice: Random, some: tuple[str, ...], others: tuple[str, ...]):
    """`??` is at least as strict as any place; two places are at least as strict as each."""
    _, channel, category, at_ms = draw_case(dice)
    consent, settings = draw_consent(dice), ComplianceSettings(require_proof=dice.random() < 0.5)
    joined = tuple(sorted({*some, *others}))
    laws = [
        BOOK.law(Places(places, ("UTC",)), category, settings, at_ms) for places in (some, joined, ("??",))
    ]
    for looser, stricter in pairwise(laws):
        one, two = (refusals(law, category.name, consent) for law in (looser, stricter))
        assert all(a & b == a for a, b in zip(one, two, strict=True))
        mine, theirs = (law.terms[CHANNEL_INDEX[channel]] for law in (looser, stricter))
        assert set(mine.caps) <= set(theirs.caps)
        assert set(mine.content) <= set(theirs.content)
        assert set(mine.rule_ids) <= set(theirs.rule_ids)
        if theirs.hours is None:
            assert mine.hours is None
        elif mine.hours is not None:
            assert not (theirs.hours.week & ~mine.hours.week).any()


@given(dice)
def test_the_first_open_instant_is_open_and_none_before_it_is(dice: Random):
    facts, channel, _, at_ms = draw_case(dice)
    hours = BOOK.law(facts.places, MARKETING, facts.settings, at_ms).terms[CHANNEL_INDEX[channel]].hours
    first = first_open_ms(hours, facts.places.zones, at_ms)
    until = at_ms + 240 * HOUR if first is None else first
    assert first is None or is_open(hours, facts.places.zones, first)
    closed = np.arange(at_ms, until, 13 * MINUTE, dtype=np.int64)[None, :]
    if closed.size:
        assert forbidden([hours], [facts.places.zones], closed, np.array([1])).all()
