"""What volume costs: fitted to who turned away after how much, and what it makes of somebody."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from clarion.intelligence.features.fold import fold
from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.features.signs import SignKind, Signs, as_signs
from clarion.intelligence.models import DEFAULTS, FatigueParameters, fatigue
from clarion.intelligence.training.fit_fatigue import blame, fit_fatigue
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW: Final = 20_000 * DAY_MS
EMAIL: Final = 0


def had(messages: int, *, refused: bool = False) -> RecordArray:
    """Somebody who got so many messages a day for weeks."""
    rows = [
        (1, SignKind.SENT, EMAIL, NOW - day * DAY_MS - nth * HOUR_MS, 0)
        for day in range(60)
        for nth in range(messages)
    ]
    rows += [(1, SignKind.REFUSED, EMAIL, NOW - DAY_MS, 0)] if refused else []
    return fold(empty_records([1]), as_signs(rows))


USUAL: Final = np.array(DEFAULTS.channel.rates, np.float32)
BUDGET: Final = fatigue.budgets(USUAL[None], USUAL, FatigueParameters())


def test_who_gets_more_is_more_tired_and_never_more_than_wholly():
    found = [
        float(fatigue.tired(had(daily), BUDGET, FatigueParameters(), NOW)[0, EMAIL]) for daily in (0, 1, 2, 9)
    ]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[-1] == 1


def test_the_volume_is_that_of_a_week():
    assert float(fatigue.volumes(had(2), NOW)[0, EMAIL]) == pytest.approx(14, rel=0.1)


def test_who_refused_lately_is_tired_of_that_channel_only():
    found = fatigue.tired(had(0, refused=True), BUDGET, FatigueParameters(), NOW)[0]
    assert found[EMAIL] > 0.9
    assert found[1:].tolist() == [0, 0]


def planted(slope: float) -> Signs:
    """Users of very different volumes; how often one turns away rises with the week before by `slope`."""
    chance = np.random.default_rng(31)
    rows: list[tuple[int, int, int, int, int]] = []
    for user in range(1, 400):
        gap_h = float(chance.choice([6, 24, 72]))
        at = [NOW + nth * gap_h * HOUR_MS for nth in range(60)]
        for nth, instant in enumerate(at):
            volume = sum(1 for before in at[:nth] if instant - before < 7 * DAY_MS)
            rows.append((user, SignKind.SENT, EMAIL, int(instant), 0))
            if chance.random() < 1 / (1 + np.exp(5 - slope * volume)):
                rows.append((user, SignKind.REFUSED, EMAIL, int(instant) + HOUR_MS, 0))
    return as_signs(rows)


def test_a_stranger_has_the_usual_budget_and_who_answers_twice_as_often_may_run_twice_the_risk():
    by = FatigueParameters()
    assert BUDGET[0].tolist() == pytest.approx(by.weekly)
    eager = fatigue.budgets(2 * USUAL[None], USUAL, by)
    ratio = fatigue.risks(eager, by) / fatigue.risks(BUDGET, by)
    assert ratio[0].tolist() == pytest.approx([2, 2, 2], rel=0.04)


@pytest.mark.parametrize("rate", [1e-3, 0.999])
def test_budgets_stay_within_reason(rate: float):
    flat = FatigueParameters(slope=(0.0, 0.0, 0.0))
    budget = fatigue.budgets(np.full((1, 3), rate, np.float32), USUAL, flat)[0]
    weekly = np.array(flat.weekly)
    assert ((budget >= weekly / 3 - 1e-3) & (budget <= 3 * weekly + 1e-3)).all()


def test_the_same_mail_tires_who_never_answers_sooner():
    rates = np.array([[0.3, 0.12, 0.12], [0.02, 0.12, 0.12]], np.float32)
    budget = fatigue.budgets(rates, USUAL, FatigueParameters())
    eager, bored = (
        fatigue.tired(had(1), budget[row : row + 1], FatigueParameters(), NOW)[0, EMAIL] for row in (0, 1)
    )
    assert eager < bored


@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_planted_cost_is_found_again(slope: float):
    fitted = fit_fatigue(planted(slope), DEFAULTS.fatigue)
    assert fitted.base[EMAIL] == pytest.approx(-5, abs=0.3)
    assert fitted.slope[EMAIL] == pytest.approx(slope, abs=0.02)
    assert fitted.slope[1:] == DEFAULTS.fatigue.slope[1:], "nothing was sent there"


def test_refusals_are_of_the_message_before_them_and_of_its_user():
    day = DAY_MS
    signs = as_signs(
        [
            (1, SignKind.SENT, EMAIL, NOW, 0),
            (1, SignKind.SENT, EMAIL, NOW + day, 0),
            (1, SignKind.REFUSED, EMAIL, NOW + 2 * day, 0),
            (2, SignKind.SENT, EMAIL, NOW + 1, 0),
            (2, SignKind.REFUSED, EMAIL, NOW + 9 * day, 0),
            (2, SignKind.SENT, EMAIL, NOW + 10 * day, 0),
            (3, SignKind.REFUSED, EMAIL, NOW, 0),
        ]
    )
    volume, refused = blame(signs, EMAIL)
    assert volume.tolist() == [0, 1, 0, 0]
    assert refused.tolist() == [False, True, False, False]
    assert fit_fatigue(signs, DEFAULTS.fatigue) == DEFAULTS.fatigue, "too little to learn of"
