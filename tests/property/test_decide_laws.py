"""A decision never does what the rules, asked about the one message at the one instant, forbid."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from clarion.audience.model import Card
from clarion.compliance.model import ConsentState
from clarion.compliance.opening_hours import is_open
from clarion.compliance.rulebook import bundled_rulebook, refuses
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.serving import NeutralPrior
from clarion.orchestration.decide import decide
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate
from clarion.tenancy.model import ALL_CHANNELS, DEFAULT_CATEGORIES, ComplianceSettings
from clarion.testing.decisions import make_draft

START_MS = 1_767_225_600_000  # 2026
YEARS_MS = 3 * 365 * 86_400_000
COUNTRIES = st.sampled_from(["", "US", "CA", "DE", "FR", "GB", "AU", "IN", "AE", "BR", "??"])
STATES = st.sampled_from(["", "FL", "TX", "RI", "Connecticut", "Nowhere"])
ZONES = st.sampled_from(
    ["", "UTC", "America/New_York", "Pacific/Honolulu", "Europe/Paris", "Asia/Kolkata", "Mars/Olympus"]
)
MASKS = st.dictionaries(st.sampled_from(["marketing", "*"]), st.integers(0, ALL_CHANNELS), max_size=2)


@st.composite
def cards(draw: DrawFn, user_id: int) -> Card:
    granted = draw(MASKS)
    return Card(
        user_id=user_id,
        version=1,
        external_id=f"u{user_id}",
        timezone=draw(ZONES),
        language="en",
        country=draw(COUNTRIES),
        preferred_channel="",
        reachable=ALL_CHANNELS,
        consent=ConsentState(
            granted=granted,
            denied={name: draw(st.integers(0, ALL_CHANNELS)) & ~mask for name, mask in granted.items()},
            suppressed=draw(st.sampled_from([0, 0, 1, 6])),
            implied=draw(st.sampled_from([{}, granted])),
            proven=draw(st.sampled_from([{}, granted])),
        ),
        region=draw(STATES),
        phone_country=draw(COUNTRIES),
        phone_zones=draw(
            st.sampled_from([(), ("America/Los_Angeles",), ("Atlantic/Canary", "Europe/Madrid")])
        ),
    )


@st.composite
def candidates(draw: DrawFn, now_ms: int, user_id: int) -> Candidate:
    draft = make_draft(
        draw(st.sampled_from(DEFAULT_CATEGORIES)),
        selection=draw(st.sampled_from(["all", "optimal"])),
        send_time=draw(st.sampled_from(["now", "optimal", "scheduled"])),
        scheduled_ms=now_ms + draw(st.integers(0, 72)) * 3_600_000,
        expires_ms=now_ms + draw(st.integers(1, 120)) * 3_600_000,
        tenant_country=draw(COUNTRIES),
        compliance=ComplianceSettings(default_windows=draw(st.booleans()), require_proof=draw(st.booleans())),
    )
    return Candidate(draft, draw(cards(user_id)))


@st.composite
def batches(draw: DrawFn) -> tuple[int, list[Candidate]]:
    now_ms = START_MS + draw(st.integers(0, YEARS_MS))
    return now_ms, [draw(candidates(now_ms, i)) for i in range(draw(st.integers(1, 4)))]


@settings(max_examples=60)
@given(batches())
def test_every_choice_is_one_that_the_rules_allow_then(case: tuple[int, list[Candidate]]):
    now_ms, batch = case
    book = bundled_rulebook()
    for candidate, decision in zip(batch, decide(batch, NeutralPrior(), Limits(), now_ms), strict=True):
        draft, card = candidate.draft, candidate.card
        places = book.atlas.plausible(card.whereabouts, draft.tenant_country, draft.fallback_timezone)
        law = book.law(places, draft.category, draft.compliance, now_ms)
        assert (decision.ruleset, decision.jurisdictions) == (book.version, places.jurisdictions)
        for choice in decision.choices:
            name = CHANNELS[choice.channel]
            assert refuses(law, name, draft.category.name, card.consent) is None
            assert is_open(law.terms[choice.channel].hours, places.zones, choice.due_ms or now_ms)


@settings(max_examples=40)
@given(batches())
def test_a_batch_under_many_laws_decides_as_each_alone(case: tuple[int, list[Candidate]]):
    now_ms, batch = case
    together = decide(batch, NeutralPrior(), Limits(), now_ms)
    assert together == [decide([one], NeutralPrior(), Limits(), now_ms)[0] for one in batch]
