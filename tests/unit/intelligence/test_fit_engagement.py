"""Churn and engagement: what was planted is found again, and what is said is what happens."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from clarion.intelligence.features.history import Memory
from clarion.intelligence.features.signs import SignKind, Signs, as_signs
from clarion.intelligence.models import DEFAULTS, ChurnParameters, EngagementParameters, channel, churn
from clarion.intelligence.serving.describe import calibrated
from clarion.intelligence.training.cuts import cut_and_hold
from clarion.intelligence.training.drift import calibration_error
from clarion.intelligence.training.fit_churn import churn_cuts, fit_churn
from clarion.intelligence.training.fit_engagement import fit_engagement
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW: Final = 20_000 * DAY_MS
DAYS: Final = 240
BEGIN: Final = NOW - DAYS * DAY_MS


def leavers(users: int = 600) -> Signs:
    """People who come every few days until they leave for good: half of them do, on some day."""
    chance = np.random.default_rng(41)
    rows: list[tuple[int, int, int, int, int]] = []
    for user in range(1, users + 1):
        gap_d = float(chance.choice([1, 3, 7]))
        leaves = chance.integers(20, DAYS) if user % 2 else DAYS
        day = float(chance.random() * gap_d)
        while day < leaves:
            rows.append((user, SignKind.ACTIVE, 1, int(BEGIN + day * DAY_MS), 0))
            day += float(chance.exponential(gap_d)) + 0.2
    return as_signs(sorted(rows, key=lambda row: row[3]))


def test_churn_is_fitted_to_who_stayed_away_and_is_calibrated():
    cuts = churn_cuts(leavers(), BEGIN, NOW, 30.0)
    assert len(cuts) == 4
    fitted = fit_churn(cuts[:3], ChurnParameters())
    held = cuts[3]
    there = held.records["seen_ms"] > 0
    away = np.asarray(~held.presence[there].any(axis=(1, 2)))
    errors = [
        calibration_error(churn.churn_risk(held.records[there], one, held.at_ms).astype(np.float64), away)
        for one in (fitted, ChurnParameters())
    ]
    assert errors[0] < errors[1]
    assert errors[0] < 0.12
    risk = churn.churn_risk(held.records[there], fitted, held.at_ms)
    assert risk[away].mean() > 2 * risk[~away].mean()


def test_few_users_and_short_histories_change_nothing():
    few = leavers(20)
    assert fit_churn(churn_cuts(few, BEGIN, NOW, 30.0), ChurnParameters()) == ChurnParameters()
    assert churn_cuts(few, NOW - 40 * DAY_MS, NOW, 30.0) == []


def mails(users: int = 300) -> Signs:
    """A mail on every other day; users differ in how often they open, and click in a third of what they open."""
    chance = np.random.default_rng(42)
    rows: list[tuple[int, int, int, int, int]] = []
    for user in range(1, users + 1):
        rate = chance.beta(1.5, 4)
        for day in range(0, DAYS, 2):
            at_ms = BEGIN + day * DAY_MS + 9 * HOUR_MS
            rows.append((user, SignKind.SENT, 0, at_ms, 0))
            if chance.random() < rate:
                rows.append((user, SignKind.OPENED, 0, at_ms + HOUR_MS, 0))
                if chance.random() < 1 / 3:
                    rows.append((user, SignKind.CLICKED, 0, at_ms + HOUR_MS + 1, 0))
    return as_signs(sorted(rows, key=lambda row: row[3]))


def test_opens_are_calibrated_and_clicks_are_a_share_of_them():
    signs = mails()
    fitting, held = cut_and_hold(signs, BEGIN, NOW)
    memory = Memory()
    memory.take(signs)
    fitted = fit_engagement(fitting, DEFAULTS.channel, memory.records, EngagementParameters())
    user = channel.known(held.records, DEFAULTS.channel, held.at_ms)
    said = calibrated(channel.rates(user, DEFAULTS.channel), fitted.opens)
    chance = said[held.sends.row, held.sends.channel].astype(np.float64)
    assert calibration_error(chance, held.sends.answered) < 0.03
    clicks = calibrated(channel.rates(user, DEFAULTS.channel), fitted.clicks)
    assert (clicks[:, 0] / said[:, 0]).mean() == pytest.approx(1 / 3, abs=0.1)
    assert fitted.opens[1:] == EngagementParameters().opens[1:], "nothing was sent there"
