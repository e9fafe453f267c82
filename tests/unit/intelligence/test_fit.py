"""Fitting, in a world of which everything is known."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace

import numpy as np
import pytest
from msgspec.structs import replace as with_

from clarion.intelligence.features import SignKind, Signs, empty_records, fold
from clarion.intelligence.features.signs import joined
from clarion.intelligence.models import DEFAULTS, TenantModel, channel, send_time
from clarion.intelligence.training.cuts import MOST_USERS, Cut, cut, cut_and_hold, cut_times
from clarion.intelligence.training.fit import fit_likely_hours, fit_times_and_channels, refresh_population
from clarion.kernel.local_time import DAY_MS, HOUR_MS

END_MS = 1_799_971_200_000  # a midnight, UTC
DAYS = 120
FROM_MS = END_MS - DAYS * DAY_MS
RATES = (0.2, 0.35, 0.1)
TRANSACTIONAL, MARKETING = 0, 2


@dataclass(frozen=True)
class World:
    """People who come about their own hour, and answer to what is sent as the hour and the channel have it."""

    users: int = 500
    elasticity: float = 0.6
    sends_a_day: float = 0.4
    send_hours: tuple[int, ...] = (8, 12, 16, 20)

    def signs(self) -> Signs:
        """What happened."""
        chance = np.random.default_rng(7)
        peak = chance.normal(14, 4, self.users) % 24
        apart = np.abs(np.arange(24) - peak[:, None])
        curve = np.exp(-0.5 * (np.minimum(apart, 24 - apart) / 3) ** 2) + 0.1
        curve /= curve.mean(axis=1, keepdims=True)
        rate = chance.beta(np.array(RATES) * 6, (1 - np.array(RATES)) * 6, (self.users, 3)).clip(0.01, 0.9)
        return joined([self._visits(chance, curve), self._sends(chance, curve, rate)])

    def _visits(self, chance: np.random.Generator, curve: np.ndarray) -> Signs:
        count = int(self.users * DAYS * 0.4)
        user = chance.integers(0, self.users, count)
        hour = (chance.random(count)[:, None] > np.cumsum(curve[user] / 24, axis=1)).sum(axis=1).clip(0, 23)
        at_ms = FROM_MS + chance.integers(0, DAYS, count) * DAY_MS + hour * HOUR_MS
        return _signs(user, SignKind.ACTIVE, np.full(count, -1), at_ms)

    def _sends(self, chance: np.random.Generator, curve: np.ndarray, rate: np.ndarray) -> Signs:
        count = int(self.users * DAYS * self.sends_a_day)
        user, on = chance.integers(0, self.users, count), chance.integers(0, 3, count)
        hour = chance.choice(self.send_hours, count)
        at_ms = FROM_MS + chance.integers(0, DAYS, count) * DAY_MS + hour * HOUR_MS
        odds = rate[user, on] / (1 - rate[user, on]) * curve[user, hour] ** self.elasticity
        answers = chance.random(count) < odds / (1 + odds)
        opens = _signs(user[answers], SignKind.OPENED, on[answers], at_ms[answers] + HOUR_MS)
        return joined([_signs(user, SignKind.SENT, on, at_ms), opens])


def _signs(user: np.ndarray, kind: SignKind, on: np.ndarray, at_ms: np.ndarray) -> Signs:
    nothing = np.zeros(len(user), np.int64)
    return Signs(user + 1, nothing + kind, on, at_ms, nothing, nothing.astype(np.uint64))


def cuts_of(signs: Signs) -> list[Cut]:
    times, horizon_ms = cut_times(FROM_MS, END_MS)
    return cut(signs, times, horizon_ms)


def fit(world: World) -> tuple[TenantModel, list[Cut]]:
    cuts = cuts_of(world.signs())
    return fit_times_and_channels(cuts, DEFAULTS, cuts[-1].records, END_MS), cuts


@pytest.fixture(scope="module")
def fitted() -> tuple[TenantModel, list[Cut]]:
    return fit(World())


def test_planted_rates_and_what_the_hour_does_are_found(fitted: tuple[TenantModel, list[Cut]]):
    model, _ = fitted
    assert model.channel.rates == pytest.approx(RATES, abs=0.03)
    assert 3 < model.channel.strength < 12, "six pseudo-sends, as people differ here"
    assert 0.3 < model.send_time.elasticity < 1
    assert model.send_time.answered == pytest.approx(0.21, abs=0.02)


def test_probabilities_of_sends_to_come_are_calibrated(fitted: tuple[TenantModel, list[Cut]]):
    model, cuts = fitted
    now, sends = cuts[-1], cuts[-1].sends
    by = refresh_population(model, now.records, now.at_ms)
    curves = send_time.curves(now.records, by.send_time, now.at_ms)
    times = send_time.answer_odds(now.records, curves, by.send_time, now.at_ms)
    rates = channel.rates(channel.known(now.records, by.channel, now.at_ms), by.channel)
    offsets = np.exp(np.array(by.send_time.by_channel))
    odds = channel.odds(rates)[sends.row, sends.channel] * times[sends.row, sends.day_type, sends.hour]
    odds *= offsets[sends.channel, sends.hour]
    chance = odds / (1 + odds)
    for part in np.array_split(np.argsort(chance), 5):
        assert chance[part].mean() == pytest.approx(sends.answered[part].mean(), abs=0.06)


def test_where_hours_do_not_matter_none_is_made_to():
    model, _ = fit(World(elasticity=0.0))
    assert model.send_time.elasticity <= 0.1
    assert np.abs(np.array(model.send_time.by_channel)).max() < 0.15


def of_classes(*, told: bool = True) -> Signs:
    """Mails of two classes, at four hours: those of marketing are answered twice as often at 20 h as at others."""
    chance = np.random.default_rng(9)
    count = 24_000
    user, hour = chance.integers(0, 400, count), chance.choice((8, 12, 16, 20), count)
    at_ms = FROM_MS + chance.integers(0, DAYS, count) * DAY_MS + hour * HOUR_MS
    class_ = chance.choice((TRANSACTIONAL, MARKETING), count)
    rate = np.where((class_ == MARKETING) & (hour == 20), 0.4, 0.2)
    answers = chance.random(count) < rate
    nothing = np.zeros(count, np.int64)
    sent = _signs(user, SignKind.SENT, nothing, at_ms)
    opens = _signs(user[answers], SignKind.OPENED, nothing[answers], at_ms[answers] + HOUR_MS)
    if told:
        sent, opens = (
            dataclasses.replace(signs, class_=classes)
            for signs, classes in ((sent, class_), (opens, class_[answers]))
        )
    return joined([sent, opens])


def test_hours_of_a_class_of_messages_are_learned_where_it_is_told():
    cuts = cuts_of(of_classes())
    found = np.array(fit_times_and_channels(cuts, DEFAULTS, cuts[-1].records, END_MS).send_time.by_class)
    evening = found[:, 20] - found[:, 8]
    assert evening[MARKETING] - evening[TRANSACTIONAL] > 0.25, (
        "0.98 was planted; hours are shrunk, and smoothed"
    )
    assert not found[1].any(), "nothing of that class was sent"


def test_without_classes_nothing_is_said_of_them():
    cuts = cuts_of(of_classes(told=False))
    found = fit_times_and_channels(cuts, DEFAULTS, cuts[-1].records, END_MS).send_time
    assert not np.array(found.by_class).any()
    assert np.array(found.by_channel).any()


def test_from_sends_at_one_hour_nothing_is_learned_of_hours():
    """The marketer's calendar is no habit of her people."""
    model, _ = fit(World(send_hours=(9,)))
    offsets = np.array(model.send_time.by_channel)
    assert np.abs(offsets - offsets.mean(axis=1, keepdims=True)).max() < 0.2


def test_the_set_holds_70_percent_of_hours_to_come(fitted: tuple[TenantModel, list[Cut]]):
    model, cuts = fitted
    now = cuts[-1]
    fresh = refresh_population(model, now.records, now.at_ms)
    by = fit_likely_hours(fresh, World().signs(), now.at_ms).send_time
    counted = send_time.presence(now.records, by.mix, now.at_ms)
    curves = send_time.posterior(counted, by)
    likely = send_time.likely_hours(curves, send_time.certainty(counted, by), by)
    assert 0.67 < now.presence[likely].sum() / now.presence.sum() < 0.73


def test_sets_of_hours_learn_nothing_of_what_came_later(fitted: tuple[TenantModel, list[Cut]]):
    model, cuts = fitted
    signs, now_ms = World().signs(), cuts[-1].at_ms
    before = signs.where(signs.at_ms < now_ms)
    assert fit_likely_hours(model, signs, now_ms) == fit_likely_hours(model, before, now_ms)


def test_sets_grow_when_people_change(fitted: tuple[TenantModel, list[Cut]]):
    """Everybody's hours move by six: what is known of them says less, and more hours are named until it is learned."""
    model, _ = fitted
    signs, moved_ms = World().signs(), END_MS - 14 * DAY_MS
    at_ms = np.where(signs.at_ms >= moved_ms, signs.at_ms + 6 * HOUR_MS, signs.at_ms)
    moved = dataclasses.replace(signs, at_ms=at_ms)
    usual, wide = (fit_likely_hours(model, history, END_MS).send_time for history in (signs, moved))
    assert wide.set_mass_known > usual.set_mass_known + 0.02


def test_without_weeks_the_sets_stay(fitted: tuple[TenantModel, list[Cut]]):
    model, _ = fitted
    assert fit_likely_hours(model, joined([]), END_MS) == model


def test_a_tenant_of_few_users_keeps_what_is_usual():
    few = World(users=12, sends_a_day=0.1)
    model, _ = fit(few)
    model = fit_likely_hours(model, few.signs(), END_MS)
    usual = DEFAULTS.send_time
    assert (model.send_time.shrink_user, model.send_time.mix) == (usual.shrink_user, usual.mix)
    assert model.send_time.elasticity == usual.elasticity
    assert model.send_time.set_mass == pytest.approx(usual.set_mass, abs=0.05)
    assert model.channel.strength == DEFAULTS.channel.strength


def test_without_any_history_the_defaults_stay():
    nobody = empty_records([])
    model = fit_times_and_channels([], DEFAULTS, nobody, END_MS)
    assert model.channel.rates == pytest.approx(DEFAULTS.channel.rates)
    assert np.allclose(
        model.send_time.curves[0], send_time.population_curves(DEFAULTS.send_time)[0], atol=0.15
    )
    assert replace_curves(model) == DEFAULTS


def replace_curves(model: TenantModel) -> TenantModel:
    """The model with the population of the defaults."""
    return with_(
        model,
        send_time=with_(model.send_time, curves=DEFAULTS.send_time.curves),
        channel=with_(model.channel, rates=DEFAULTS.channel.rates, shares=DEFAULTS.channel.shares),
    )


def test_a_cut_knows_nothing_of_what_came_after_it():
    signs = World(users=50).signs()
    times, horizon_ms = cut_times(FROM_MS, END_MS)
    for now in cut(signs, times, horizon_ms):
        before = signs.where(signs.at_ms < now.at_ms)
        alone = fold(empty_records(now.records["user_id"].tolist()), before)
        assert (alone["as_of_ms"] < now.at_ms).all()
        assert np.allclose(alone["presence"], now.records["presence"], rtol=1e-4)
        assert np.allclose(alone["sent"], now.records["sent"], rtol=1e-4)


def test_what_judges_comes_after_all_that_was_fitted_on():
    signs = World(users=50).signs()
    cuts, held = cut_and_hold(signs, FROM_MS, END_MS)
    known = signs.where(signs.at_ms < held.at_ms)
    again, _ = cut_and_hold(signs.where(signs.at_ms < END_MS - DAY_MS), FROM_MS, END_MS)
    times, horizon_ms = cut_times(FROM_MS, held.at_ms)
    for one, without, other in zip(cuts, cut(known, times, horizon_ms), again, strict=True):
        assert one.at_ms < held.at_ms
        assert np.array_equal(one.presence.sum(axis=0), without.presence.sum(axis=0))
        assert np.array_equal(one.presence, other.presence)
        assert len(one.sends.row) == len(without.sends.row)
    assert held.presence.sum() > 0


def test_futures_end_with_the_history():
    for days in (12, 60, 193, 3_000):
        times, horizon_ms = cut_times(END_MS - days * DAY_MS, END_MS)
        assert times == sorted(set(times))
        assert all(END_MS - days * DAY_MS < at_ms < END_MS for at_ms in times)
        assert horizon_ms <= 180 * DAY_MS


def test_of_very_many_users_some_are_enough_and_they_are_always_the_same():
    count = MOST_USERS + 5_000
    user, nothing = np.arange(count), np.zeros(count, np.int64)
    signs = _signs(user, SignKind.ACTIVE, nothing, END_MS + nothing)
    (one,), (other,) = (cut(signs.where(order), [END_MS - 1], DAY_MS) for order in (user, user[::-1].copy()))
    assert len(one.records) == MOST_USERS
    assert one.records["user_id"].tolist() == other.records["user_id"].tolist()


def test_answers_belong_to_the_send_before_them():
    user, on = np.zeros(5, np.int64), np.zeros(5, np.int64)
    hours = np.array([0, 1, 10, 100, 175])
    kinds = [SignKind.SENT, SignKind.OPENED, SignKind.SENT, SignKind.SENT, SignKind.OPENED]
    signs = replace(_signs(user, SignKind.SENT, on, END_MS + hours * HOUR_MS), kind=np.array(kinds))
    (now,) = cut(signs, [END_MS], 30 * DAY_MS)
    assert now.sends.answered.tolist() == [True, False, False], "75 hours are too late for an answer"
    assert now.sends.hour.tolist() == [0, 10, 4]
