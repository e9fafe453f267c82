"""What was learned of the users of a batch: all that does not depend on what is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clarion.compliance.quiet_hours import BoolArray
from clarion.contracts.channels import CHANNELS
from clarion.intelligence.features.record import RecordArray, empty_records
from clarion.intelligence.models import TenantModel, channel, fatigue, send_time
from clarion.intelligence.serving.holdout import CHANNEL, SEND_TIME
from clarion.intelligence.serving.ports import FloatArray, Subject
from clarion.intelligence.serving.prior import CONFIDENCE, PREFERRED
from clarion.kernel.local_time import IntArray

CELLS: Final = send_time.DAY_TYPES * send_time.HOURS
"""Local hours that are told apart: those of working days, then those of weekends."""

_C: Final = len(CHANNELS)
_DAYS_OF_WEEK: Final = 7


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """S distinct users. Odds are p/(1 - p) of an answer.

    `user_id` [S], and `order` [S] which sorts it; `hours` [S, CELLS]: what a local hour multiplies odds by; `odds`
    [S, C]: of a channel at an average hour, and `named` [S, C]: of one that the user named as hers; `tired` [S, C] and
    `confidence` [S] as `Forecast` has them; `model` [S]: index of the model; `fallback` [S]; `stranger` [S]: nothing is
    known of her, and she is not held out, so that her hours are those of her part of the world.
    """

    user_id: IntArray
    order: IntArray
    hours: FloatArray
    odds: FloatArray
    named: FloatArray
    tired: FloatArray
    confidence: FloatArray
    model: IntArray
    fallback: BoolArray
    stranger: BoolArray

    def rows_of(self, user_id: IntArray) -> IntArray:
        """The rows of users. Raises KeyError for one of whom nothing was learned."""
        at = np.searchsorted(self.user_id, user_id, sorter=self.order)
        at[at == len(self.order)] = 0
        rows: IntArray = self.order[at] if len(self.order) else at
        if not len(self.order) or not np.array_equal(self.user_id[rows], user_id):
            raise KeyError("a forecast was asked about a user for whom none was prepared")
        return rows


def learn(
    subjects: Sequence[Subject],
    records: RecordArray,
    models: tuple[Sequence[TenantModel], IntArray],
    fallback: BoolArray,
    now_ms: int,
) -> Learned:
    """What is known of subjects [N] by their records [N] as they weigh at `now_ms`.

    `models`: the distinct ones, and the index of each subject's, [N]. A user who repeats is learned once, and hidden
    only from what all of her subjects are hidden from. `fallback` [N]: she counts as unknown, whatever the record says.
    """
    numbers = np.fromiter((subject.user_id for subject in subjects), np.int64, len(subjects))
    hidden = np.fromiter((subject.hidden for subject in subjects), np.int64, len(subjects))
    order = np.argsort(numbers, kind="stable")
    fitted, model = models
    if (np.diff(numbers[order]) == 0).any():
        numbers, first, which = np.unique(numbers, return_index=True, return_inverse=True)
        merged = np.full(len(numbers), -1, np.int64)
        np.bitwise_and.at(merged, which, hidden)
        hidden, order = merged, np.arange(len(numbers))
        records, model, fallback = records[first], model[first], fallback[first]
    users = len(numbers)
    unknown = (records["as_of_ms"] == 0) | fallback
    learned = Learned(
        user_id=numbers,
        order=order,
        hours=np.empty((users, CELLS), np.float32),
        odds=np.empty((users, _C), np.float32),
        named=np.empty((users, _C), np.float32),
        tired=np.empty((users, _C), np.float32),
        confidence=np.empty(users, np.float32),
        model=model,
        fallback=fallback,
        stranger=unknown & ((hidden & SEND_TIME) == 0),
    )
    for place, by in enumerate(fitted):
        mine = model == place
        known, strangers = np.flatnonzero(mine & ~unknown), np.flatnonzero(mine & unknown)
        if known.size:
            everybody = known.size == users
            of_known = records if everybody else records[known]
            _learn_users(learned, known, of_known, hidden if everybody else hidden[known], (by, now_ms))
        if strangers.size:
            _learn_strangers(learned, strangers, by, now_ms)
    return learned


def hours_of_regions(by: TenantModel) -> FloatArray:
    """What a local hour multiplies odds by, of somebody unknown in each part of the world, [REGIONS, CELLS]."""
    times = send_time.reached(send_time.region_curves(by.send_time), by.send_time)
    return (times ** np.float32(by.send_time.elasticity)).reshape(-1, CELLS)


def _learn_strangers(learned: Learned, rows: IntArray, by: TenantModel, now_ms: int) -> None:
    """Fill in users of whom nothing is known: all alike, so once for all of them."""
    one = rows[:1]
    _learn_users(learned, one, empty_records([0]), np.zeros(1, np.int64), (by, now_ms))
    for values in (learned.hours, learned.odds, learned.named, learned.tired, learned.confidence):
        values[rows] = values[one]


def _learn_users(
    learned: Learned, rows: IntArray, records: RecordArray, hidden: IntArray, by: tuple[TenantModel, int]
) -> None:
    """Fill in `rows` of `learned`, by the model and at the instant `by`."""
    fitted, now_ms = by
    times, certain = _times(records, fitted, now_ms, (hidden & SEND_TIME) > 0)
    learned.hours[rows] = times.reshape(-1, CELLS)
    user = channel.known(records, fitted.channel, now_ms)
    stranger = (hidden & CHANNEL) > 0
    if stranger.any():
        for values in user:
            values[stranger] = 0
    prior = channel.priors(user, fitted.channel)
    rates = channel.rates(user, fitted.channel, prior)
    learned.odds[rows] = channel.odds(rates)
    lifted = channel.rates(user, fitted.channel, channel.lifted(prior, PREFERRED))
    learned.named[rows] = channel.odds(lifted)
    budget = fatigue.budgets(rates, channel.usual_rates(fitted.channel), fitted.fatigue)
    learned.tired[rows] = fatigue.tired(records, budget, fitted.fatigue, now_ms)
    known = (certain + channel.certainty(user, fitted.channel)) / 2
    learned.confidence[rows] = CONFIDENCE + (1 - CONFIDENCE) * known


def _times(
    records: RecordArray, fitted: TenantModel, now_ms: int, stranger: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """What hours multiply odds by, [B, 2, 24], and how much of that is each user's own, [B]."""
    counted = send_time.presence(records, fitted.send_time.mix, now_ms)
    hides = stranger.any()
    if hides:
        counted[stranger] = 0
    by_type = send_time.posterior(counted, fitted.send_time)
    times = send_time.answer_odds(records, by_type, fitted.send_time, now_ms)
    if hides:
        population = send_time.reached(send_time.population_curves(fitted.send_time), fitted.send_time)
        times[stranger] = population ** np.float32(fitted.send_time.elasticity)
    return times, send_time.certainty(counted, fitted.send_time)
