"""What holds of every decision, whatever the batch, the zone and the night."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.compliance.rules import EXPLANATIONS, permit
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.serving import NeutralPrior
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, ChannelChoice, Decision, Draft
from clarion.tenancy.model import ALL_CHANNELS, Caps, Category, QuietHours

HOUR = 3_600_000
START = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
END = int(datetime(2031, 1, 1, tzinfo=UTC).timestamp())
ZONES = sorted(available_timezones())
CHANGING = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns"]

MASKS = st.integers(0, ALL_CHANNELS)
WINDOWS = st.none() | st.builds(QuietHours, st.integers(0, 1440), st.integers(0, 1440))
NAMES = st.sampled_from(["news", "*", "other"])
CATEGORIES = st.builds(
    Category,
    name=st.sampled_from(["news", "security"]),
    class_=st.sampled_from(["marketing", "service", "transactional"]),
    caps=st.builds(
        Caps, st.none() | st.integers(0, 3), st.dictionaries(st.sampled_from(CHANNELS), st.integers(0, 2))
    ),
    channels=st.sampled_from([ALL_CHANNELS, ALL_CHANNELS, 3]),
    max_channels=st.integers(1, 3),
)
CONSENTS = st.builds(
    ConsentState,
    granted=st.dictionaries(NAMES, MASKS, max_size=2),
    denied=st.dictionaries(NAMES, MASKS, max_size=1),
    suppressed=st.sampled_from([0, 0, 1, 4]),
)


@cache
def change_of(zone: str, year: int) -> int:
    """Roughly when (UTC ms, to the half day) the clocks of a zone first change in a year; its middle if never."""
    first, days = datetime(year, 1, 1, 12, tzinfo=UTC), range(366)
    offsets = [(first + timedelta(days=day)).astimezone(ZoneInfo(zone)).utcoffset() for day in days]
    change = next((day for day in days[1:] if offsets[day] != offsets[day - 1]), 183)
    return int((first + timedelta(days=change)).timestamp() * 1000) - 12 * HOUR


@st.composite
def presents(draw: st.DrawFn) -> int:
    """An instant in 2024 to 2030; half of them around a night on which somewhere the clocks change."""
    if draw(st.booleans()):
        night = change_of(draw(st.sampled_from(CHANGING)), draw(st.integers(2024, 2030)))
        return night + draw(st.integers(-40 * HOUR, 30 * HOUR))
    return draw(st.integers(START * 1000, END * 1000))


@st.composite
def candidates(draw: st.DrawFn, now_ms: int, user_id: int) -> Candidate:
    """Any draft and card. Offsets of times from `now_ms` reach past the horizon, and a little into the past."""
    expires_in = draw(st.none() | st.integers(-HOUR, 80 * HOUR))
    used = draw(st.tuples(*[st.integers(0, 2)] * 3))
    draft = Draft(
        category=draw(CATEGORIES),
        priority=draw(st.integers(0, 10)),
        requested=draw(st.sampled_from([ALL_CHANNELS, ALL_CHANNELS, 5, 2])),
        rendered=draw(st.sampled_from([ALL_CHANNELS, ALL_CHANNELS, 3])),
        selection=draw(st.sampled_from(["all", "optimal", "specified"])),
        send_time=draw(st.sampled_from(["now", "optimal", "scheduled"])),
        scheduled_ms=now_ms + draw(st.integers(-HOUR, 100 * HOUR)),
        expires_ms=0 if expires_in is None else now_ms + expires_in,
        fallback_timezone=draw(st.sampled_from(CHANGING)),
        tenant_quiet_hours=draw(WINDOWS),
        caps_used=(sum(used), *used),
    )
    card = Card(
        user_id=user_id,
        version=1,
        external_id=f"u{user_id}",
        timezone=draw(st.sampled_from(CHANGING) | st.sampled_from([*ZONES, "", "Mars/Olympus"])),
        language="en",
        country="AU",
        preferred_channel=draw(st.sampled_from(["", *CHANNELS])),
        reachable=draw(st.sampled_from([ALL_CHANNELS, ALL_CHANNELS, 6])),
        consent=draw(CONSENTS),
        preferences=draw(st.dictionaries(NAMES, MASKS, max_size=1)),
        quiet_hours=draw(WINDOWS),
    )
    return Candidate(draft, card)


@st.composite
def batches(draw: st.DrawFn, users: int = 4, *, distinct: bool = True) -> tuple[int, list[Candidate]]:
    """A present and candidates for it: of different users each, or of two users in turn."""
    now_ms = draw(presents())
    size = draw(st.integers(1, users))
    return now_ms, [draw(candidates(now_ms, i if distinct else i % 2)) for i in range(size)]


def decide_all(now_ms: int, batch: list[Candidate], limits: Limits | None = None) -> list[Decision]:
    return decide(batch, NeutralPrior(), limits or Limits(), now_ms)


def zone_of(candidate: Candidate) -> ZoneInfo:
    name = candidate.card.timezone
    return ZoneInfo(name if name in ZONES else candidate.draft.fallback_timezone)


def is_forbidden(candidate: Candidate, at_ms: int) -> bool:
    """Whether an instant is quiet, by the plainest reading of the user's wall clock."""
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone_of(candidate))
    minute = local.hour * 60 + local.minute
    for window in (candidate.draft.tenant_quiet_hours, candidate.card.quiet_hours):
        if window is None or window.start_min % 1440 == window.end_min % 1440:
            continue
        start, end = window.start_min % 1440, window.end_min % 1440
        if start <= minute < end if start < end else (minute >= start or minute < end):
            return True
    return False


def check_time(candidate: Candidate, choice: ChannelChoice, now_ms: int) -> None:
    """A choice is due now or later, before the expiry, outside quiet hours; a chosen hour is a whole local one."""
    draft, at_ms = candidate.draft, choice.due_ms or now_ms
    assert choice.due_ms == 0 or choice.due_ms > now_ms
    assert not draft.expires_ms or at_ms < draft.expires_ms
    minutes = [at_ms]
    if choice.status in {"ml_scheduled", "deferred"}:
        minutes = range(at_ms, at_ms + HOUR, 60_000)
        local = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone_of(candidate))
        assert (local.minute, local.second, local.microsecond) == (0, 0, 0)
    if draft.category.class_ != "transactional":
        assert not any(is_forbidden(candidate, minute) for minute in minutes)


def check_channel(candidate: Candidate, choice: ChannelChoice) -> None:
    """A choice is asked for, possible and permitted."""
    draft, card = candidate.draft, candidate.card
    possible = draft.requested & draft.rendered & draft.category.channels & card.reachable
    assert possible >> choice.channel & 1
    assert permit(draft.category.class_, draft.category.name, CHANNELS[choice.channel], card.consent) == ""


def check_reasons(decision: Decision) -> None:
    """Every channel is taken or has a reason; those that moved have one besides."""
    taken = {CHANNELS[choice.channel] for choice in decision.choices}
    refused = {reason.channel for reason in decision.reasons if reason.detail != "moved"}
    moved = {reason.channel for reason in decision.reasons if reason.detail == "moved"}
    assert taken | refused == set(CHANNELS)
    assert not taken & refused
    assert moved == {CHANNELS[c.channel] for c in decision.choices if c.status == "deferred"}
    assert {reason.rule for reason in decision.reasons} <= set(EXPLANATIONS)
    assert (decision.status == "blocked") == (not decision.choices)


@given(batches(distinct=False))
def test_every_choice_is_allowed_on_any_night_and_every_other_channel_has_its_reason(
    case: tuple[int, list[Candidate]],
):
    now_ms, batch = case
    for candidate, decision in zip(batch, decide_all(now_ms, batch), strict=True):
        check_reasons(decision)
        for choice in decision.choices:
            check_time(candidate, choice, now_ms)
            check_channel(candidate, choice)


@given(batches(), st.permutations(range(4)))
def test_different_users_are_decided_as_each_alone_in_any_order_and_always_alike(
    case: tuple[int, list[Candidate]], order: list[int]
):
    now_ms, batch = case
    before = msgspec.json.encode(batch)
    alone = [decision for candidate in batch for decision in decide_all(now_ms, [candidate])]
    assert decide_all(now_ms, batch) == alone
    order = [row for row in order if row < len(batch)]
    assert decide_all(now_ms, [batch[row] for row in order]) == [alone[row] for row in order]
    assert msgspec.json.encode(batch) == before


@given(batches(users=6, distinct=False))
def test_no_day_of_a_user_holds_more_than_its_caps(case: tuple[int, list[Candidate]]):
    now_ms, batch = case
    # One category for all: what rows of another one take does not count here.
    category = batch[0].draft.category
    used = batch[0].draft.caps_used
    batch = [
        Candidate(
            msgspec.structs.replace(c.draft, category=category, caps_used=used, fallback_timezone="UTC"),
            msgspec.structs.replace(c.card, timezone="Asia/Kolkata"),
        )
        for c in batch
    ]
    sent: Counter[tuple[int, object, str]] = Counter()
    zone = ZoneInfo("Asia/Kolkata")
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    for candidate, decision in zip(batch, decide_all(now_ms, batch), strict=True):
        for choice in decision.choices:
            day = datetime.fromtimestamp((choice.due_ms or now_ms) / 1000, zone).date()
            for scope in ("", CHANNELS[choice.channel]):
                sent[candidate.card.user_id, day, scope] += 1
    if category.class_ == "transactional":
        return
    limits = {"": category.caps.per_day, **category.caps.per_channel_day}
    already = dict(zip(["", *CHANNELS], used, strict=True))
    for (_, day, scope), count in sent.items():
        limit = limits.get(scope)
        if limit is not None:
            assert count + (already[scope] if day == today else 0) <= limit


@given(batches(), st.integers(0, ALL_CHANNELS), st.sampled_from(["suppressed", "denied", "preference"]))
def test_a_further_no_never_frees_a_channel(case: tuple[int, list[Candidate]], mask: int, kind: str):
    now_ms, batch = case

    def forbid(candidate: Candidate) -> Candidate:
        card, consent, name = candidate.card, candidate.card.consent, candidate.draft.category.name
        if kind == "preference":
            more = {**card.preferences, name: card.preferences.get(name, 0) | mask}
            return Candidate(candidate.draft, msgspec.structs.replace(card, preferences=more))
        if kind == "denied":
            denied = {**consent.denied, name: consent.denied.get(name, 0) | mask}
            consent = msgspec.structs.replace(consent, denied=denied)
        else:
            consent = msgspec.structs.replace(consent, suppressed=consent.suppressed | mask)
        return Candidate(candidate.draft, msgspec.structs.replace(card, consent=consent))

    open_rules = {"lower_score", "quiet_hours", "frequency_cap", "expiry"}
    after = decide_all(now_ms, [forbid(candidate) for candidate in batch])
    for before, later in zip(decide_all(now_ms, batch), after, strict=True):
        barred = {r.channel for r in before.reasons if r.rule not in open_rules}
        assert not barred & {CHANNELS[choice.channel] for choice in later.choices}
        assert before.status != "blocked" or later.status == "blocked"


@given(batches(users=6, distinct=False), st.data())
def test_quotas_and_budgets_are_never_exceeded(case: tuple[int, list[Candidate]], data: st.DataObject):
    now_ms, batch = case
    size = len(batch)
    account = data.draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    quota = np.array([data.draw(st.tuples(*[st.integers(0, 4)] * 3)) for _ in range(2)], float)
    budget = np.array(data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9))), float)
    cost = np.array([data.draw(st.tuples(*[st.integers(0, 3)] * 3)) for _ in range(size)], float)
    limits = Limits(cost=cost, account=np.array(account), budget=budget, quota=quota)
    spent, sent = np.zeros(2), np.zeros((2, 3))
    for row, decision in enumerate(decide_all(now_ms, batch, limits)):
        for choice in decision.choices:
            spent[account[row]] += cost[row, choice.channel]
            sent[account[row], choice.channel] += 1
    assert (spent <= budget).all()
    assert (sent <= quota).all()
