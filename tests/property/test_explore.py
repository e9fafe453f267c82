"""What holds of messages that try something else than the best: the odds are told exactly, and the rules hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.intelligence.serving import NeutralPrior
from clarion.kernel.ids import make_ids, split_ids
from clarion.orchestration.decide import decide
from clarion.orchestration.explore import EVEN, FLOOR, GREEDY, POLICY, read_candidates
from clarion.orchestration.limits import Limits
from clarion.orchestration.lots import Lots, draw_lots
from clarion.orchestration.model import Candidate, Decision, Draft
from clarion.testing.decisions import (
    MARKETING,
    SERVICE,
    TRANSACTIONAL,
    ScriptedPredictor,
    make_card,
    make_draft,
)
from tests.property.test_decide import HOUR, batches, check_channel, check_reasons, check_time

NOW = 1_795_608_000_000  # Wednesday 2026-11-25 12:00 UTC
EPSILON = 0.25
LIKES_PUSH = ScriptedPredictor((0.2, 0.3, 0.25), peaks={1: 14})


def lots_of(which: Sequence[float], *, rate: float = EPSILON, tries: bool = True) -> Lots:
    """Lots of rows with these dice, of which all try something else, or none."""
    count = len(which)
    whether = np.full(count, 0.0 if tries else 1 - 1e-9)
    return Lots(np.full(count, rate), whether, np.array(which), np.zeros(count, np.int64))


def cell_of(decision: Decision) -> tuple[int, int]:
    [choice] = decision.choices
    return choice.channel, choice.due_ms


DRAFTS = {
    "hours and channels": make_draft(send_time="optimal", expires_ms=NOW + 5 * HOUR),
    "channels": make_draft(expires_ms=NOW + 5 * HOUR),
    "hours": make_draft(send_time="optimal", selection="specified", requested=2, expires_ms=NOW + 5 * HOUR),
    "the hour of each channel": make_draft(MARKETING, send_time="scheduled", scheduled_ms=NOW + 30 * HOUR),
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
@pytest.mark.parametrize("named", ["", "push", "sms"])
def test_told_odds_are_those_with_which_cells_are_taken_and_add_up_to_one(draft: Draft, named: str):
    draws = 4_000
    which = (np.arange(draws) + 0.5) / draws
    candidates = [Candidate(draft, make_card(i + 1, preferred_channel=named)) for i in range(draws)]
    tried = decide(candidates, LIKES_PUSH, Limits(), NOW, lots_of(which.tolist()))
    [best] = decide(candidates[:1], LIKES_PUSH, Limits(), NOW, lots_of([0.5], tries=False))

    told = {cell_of(decision): decision.propensity for decision in [*tried, best]}
    taken = Counter(map(cell_of, tried))
    assert sum(told.values()) == pytest.approx(1, abs=1e-4)
    for cell, count in taken.items():
        greedy = (1 - EPSILON) * (cell == cell_of(best))
        assert told[cell] == pytest.approx(EPSILON * count / draws + greedy, abs=2 / draws)
    assert not best.explored
    assert {(d.explored, d.policy) for d in tried} == {(True, POLICY) if len(told) > 1 else (False, GREEDY)}


def test_a_channel_that_the_user_named_is_not_tried_against_as_long_as_it_is_the_best():
    which = (np.arange(400) / 400).tolist()
    hers = [Candidate(make_draft(), make_card(i + 1, preferred_channel="push")) for i in range(400)]
    assert {d.propensity for d in decide(hers, LIKES_PUSH, Limits(), NOW, lots_of(which))} == {1.0}
    others = [Candidate(make_draft(), make_card(i + 1, preferred_channel="sms")) for i in range(400)]
    taken = Counter(d.choices[0].channel for d in decide(others, LIKES_PUSH, Limits(), NOW, lots_of(which)))
    assert set(taken) == {0, 1, 2}
    assert min(taken.values()) >= FLOOR * 400


@pytest.mark.parametrize(
    "draft",
    [
        make_draft(TRANSACTIONAL, send_time="optimal"),
        make_draft(priority=2),
        make_draft(selection="all"),
        make_draft(requested=1),
    ],
    ids=["transactional", "urgent", "all channels", "one cell"],
)
def test_what_leaves_no_choice_or_no_time_is_never_tried_upon(draft: Draft):
    candidate = Candidate(draft, make_card())
    [decision] = decide([candidate], LIKES_PUSH, Limits(), NOW, lots_of([0.99], rate=1.0))
    [plain] = decide([candidate], LIKES_PUSH, Limits(), NOW)
    assert decision == plain
    assert (decision.propensity, decision.policy, decision.candidates) == (1.0, GREEDY, ())


def test_a_tried_cell_is_told_with_its_reasons_its_candidates_and_the_best_as_an_alternative():
    draft = make_draft(send_time="optimal", expires_ms=NOW + 5 * HOUR)
    [decision] = decide([Candidate(draft, make_card())], LIKES_PUSH, Limits(), NOW, lots_of([0.0]))
    assert cell_of(decision) == (0, 0)
    assert {reason.rule for reason in decision.reasons} == {"explored"}
    assert decision.optimal_ms == NOW + 2 * HOUR
    assert decision.alternatives[0][:2] == (1, NOW + 2 * HOUR)
    assert decision.engagement == pytest.approx(0.2)
    cells = read_candidates(decision.candidates)
    assert cells.shape == (3, 8)
    assert cells.sum() == 15
    assert decision.propensity >= EPSILON * FLOOR * EVEN / 5


@settings(max_examples=50)
@given(batches(users=6, distinct=False), st.lists(st.floats(0, 1, exclude_max=True), min_size=6, max_size=6))
def test_nothing_is_tried_that_a_rule_forbids(case: tuple[int, list[Candidate]], dice: list[float]):
    now_ms, batch = case
    lots = lots_of(dice[: len(batch)], rate=1.0)
    for candidate, decision in zip(batch, decide(batch, NeutralPrior(), Limits(), now_ms, lots), strict=True):
        check_reasons(decision)
        for choice in decision.choices:
            check_time(candidate, choice, now_ms)
            check_channel(candidate, choice)
        assert 0 < decision.propensity <= 1


@settings(max_examples=50)
@given(batches(), st.integers(0, 2**32))
def test_different_users_try_what_each_alone_would(case: tuple[int, list[Candidate]], seed: int):
    now_ms, batch = case
    random = np.random.default_rng(seed)
    lots = lots_of(random.random(len(batch)).tolist(), rate=1.0)
    together = decide(batch, NeutralPrior(), Limits(), now_ms, lots)
    for row, candidate in enumerate(batch):
        one = lots.part(slice(row, row + 1))
        [alone] = decide([candidate], NeutralPrior(), Limits(), now_ms, one)
        assert (alone.choices, alone.explored) == (together[row].choices, together[row].explored)
        assert alone.propensity == pytest.approx(together[row].propensity, abs=1e-5)


@settings(max_examples=50)
@given(batches(users=5, distinct=False))
def test_a_rate_of_nothing_is_the_decision_without_chance(case: tuple[int, list[Candidate]]):
    now_ms, batch = case
    lots = lots_of([0.5] * len(batch), rate=0.0)
    assert decide(batch, NeutralPrior(), Limits(), now_ms, lots) == decide(
        batch, NeutralPrior(), Limits(), now_ms
    )


def test_the_same_id_has_the_same_lot_and_ids_share_nothing():
    idents = make_ids(20_000, NOW)
    rates, nobody = [0.05] * 20_000, [0] * 20_000
    lots = draw_lots(idents, rates, nobody)
    backwards = draw_lots(b"".join(reversed(split_ids(idents))), rates, nobody)
    assert (lots.whether == backwards.whether[::-1]).all()
    # Five standard errors of 20 000 draws.
    assert (lots.whether < 0.05).mean() == pytest.approx(0.05, abs=0.008)
    assert lots.which.mean() == pytest.approx(0.5, abs=0.011)
    assert abs(np.corrcoef(lots.whether, lots.which)[0, 1]) < 0.036


def test_a_row_that_the_rows_before_narrowed_tells_the_odds_of_what_was_left():
    capped = [
        Candidate(make_draft(SERVICE, send_time="optimal", expires_ms=NOW + 3 * HOUR), make_card())
        for _ in range(2)
    ]
    quota = np.array([[np.inf, 1.0, np.inf]])
    lots = Lots(np.full(2, EPSILON), np.array([0.99, 0.99]), np.array([0.5, 0.5]), np.zeros(2, np.int64))
    first, second = decide(capped, LIKES_PUSH, Limits(quota=quota), NOW, lots)
    assert first.choices[0].channel == 1
    assert second.choices[0].channel == 2
    cells = read_candidates(second.candidates)
    assert cells.any(1).tolist() == [True, False, True]
