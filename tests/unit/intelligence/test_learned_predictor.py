from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from clarion.intelligence.features import RecordArray, Signs, empty_records, fold
from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.serving import Forecast, LearnedPredictor, NeutralPrior, Question, Subject
from clarion.kernel.local_time import DAY_MS, HOUR_MS

NOW_MS = 1_800_000_000_000
TENANT = b"tenant"
MONDAY = 0
SATURDAY = 5
SEND_TIME, CHANNEL = 1, 2


def owl(user_id: int, hour: int = 3, channel: int = 1, days: int = 60) -> RecordArray:
    """A user who was there at this hour of each day, on this channel."""
    at_ms = NOW_MS // DAY_MS * DAY_MS - np.arange(1, days + 1) * DAY_MS + hour * HOUR_MS
    count = len(at_ms)
    return fold(
        empty_records([user_id]),
        Signs(
            np.full(count, user_id),
            np.full(count, 5),
            np.full(count, channel),
            at_ms,
            np.zeros(count, np.int64),
            np.zeros(count, np.uint64),
        ),
    )


def ask(*user_ids: int, preferred: int = -1, weekday: int = MONDAY, class_: int = 1) -> Question:
    """The 24 hours of a day of each."""
    shape = (len(user_ids), 24)
    return Question(
        user_id=np.array(user_ids),
        preferred=np.full(len(user_ids), preferred),
        hour=np.broadcast_to(np.arange(24), shape).astype(np.int8),
        weekday=np.full(shape, weekday, np.int8),
        at_ms=np.broadcast_to(NOW_MS + np.arange(24) * HOUR_MS, shape).copy(),
        class_=np.full(len(user_ids), class_),
    )


def predict(records: RecordArray, question: Question, **options: Any) -> Forecast:
    """What is expected of users with these records; options: `hidden`, `model`, `fallback`."""
    hidden = options.pop("hidden", 0)
    model = options.pop("model", DEFAULTS)
    subjects = [Subject(TENANT, number, hidden) for number in records["user_id"].tolist()]
    return LearnedPredictor(subjects, records, [model] * len(subjects), NOW_MS, **options).predict(question)


def test_the_hour_and_the_channel_of_a_user_are_hers():
    known = predict(owl(7), ask(7)).engagement[0]
    assert np.unravel_index(known.argmax(), known.shape) == (1, 3)
    early = predict(owl(7, hour=6, channel=0), ask(7)).engagement[0]
    assert np.unravel_index(early.argmax(), early.shape) == (0, 6)


def test_a_stranger_has_the_level_and_the_order_of_the_neutral_prior():
    mine = predict(empty_records([7]), ask(7))
    prior = NeutralPrior().predict(ask(7))
    assert mine.engagement[0, 0].argmax() in np.argsort(-prior.engagement[0, 0])[:3]
    assert mine.engagement.mean() == pytest.approx(prior.engagement.mean(), rel=0.1)
    assert mine.engagement.max() < 0.3, "a guess never makes two messages of one"
    assert mine.confidence.tolist() == pytest.approx(prior.confidence.tolist())
    assert not mine.fallback.any()


def test_the_channel_that_she_named_is_preferred_until_she_shows_otherwise():
    strange = predict(empty_records([7]), ask(7, preferred=2)).engagement[0]
    assert strange.max(axis=1).argmax() == 2
    assert predict(owl(7), ask(7, preferred=2)).engagement[0].max(axis=1).argmax() == 1


def test_who_is_hidden_is_a_stranger_to_that_and_to_nothing_else():
    stranger = predict(empty_records([7]), ask(7)).engagement[0]
    time_hidden = predict(owl(7), ask(7), hidden=SEND_TIME).engagement[0]
    assert time_hidden[1].argmax() == stranger[1].argmax()
    assert time_hidden.max(axis=1).argmax() == 1
    channel_hidden = predict(owl(7), ask(7), hidden=CHANNEL).engagement[0]
    assert channel_hidden[1].argmax() == 3
    assert np.ptp(channel_hidden[:, 3]) == 0
    both = predict(owl(7), ask(7), hidden=SEND_TIME | CHANNEL)
    assert np.allclose(both.engagement[0], stranger, atol=1e-6)


def test_who_could_not_be_read_is_a_stranger_and_that_is_said():
    records = np.concatenate([owl(7), owl(8)])
    forecast = predict(records, ask(7, 8), fallback=np.array([False, True]))
    assert forecast.fallback.tolist() == [False, True]
    assert np.allclose(forecast.engagement[1], predict(empty_records([8]), ask(8)).engagement[0])
    assert forecast.confidence[0] > forecast.confidence[1]


def test_rows_may_ask_of_users_in_any_order_and_more_than_once():
    records = np.concatenate([owl(9, hour=2), owl(7, hour=5), empty_records([8])])
    alone = {number: predict(records, ask(number)).engagement[0] for number in (7, 8, 9)}
    order = (8, 7, 9, 7, 8)
    together = predict(records, ask(*order)).engagement
    for number, found in zip(order, together, strict=True):
        assert np.array_equal(found, alone[number])


def test_a_user_who_repeats_is_hidden_only_from_what_is_always_hidden():
    records = np.concatenate([owl(7), owl(7)])
    subjects = [Subject(TENANT, 7, SEND_TIME | CHANNEL), Subject(TENANT, 7, CHANNEL)]
    forecast = LearnedPredictor(subjects, records, [DEFAULTS] * 2, NOW_MS).predict(ask(7))
    assert np.array_equal(forecast.engagement, predict(owl(7), ask(7), hidden=CHANNEL).engagement)


def test_a_question_about_somebody_else_is_refused():
    for records in (owl(7), empty_records([])):
        with pytest.raises(KeyError):
            predict(records, ask(8))


def test_each_tenant_has_her_own_model():
    eager = msgspec.structs.replace(
        DEFAULTS, name="eb-2", channel=msgspec.structs.replace(DEFAULTS.channel, rates=(0.5, 0.5, 0.5))
    )
    subjects = [Subject(b"a", 1), Subject(b"b", 2)]
    predictor = LearnedPredictor(subjects, empty_records([1, 2]), [DEFAULTS, eager], NOW_MS)
    forecast = predictor.predict(ask(2, 1))
    assert list(forecast.models) == ["eb-2", "eb-0"]
    assert forecast.engagement[0].mean() > 2 * forecast.engagement[1].mean()


def with_offsets(**offsets: tuple[tuple[float, ...], ...]) -> TenantModel:
    return msgspec.structs.replace(DEFAULTS, send_time=msgspec.structs.replace(DEFAULTS.send_time, **offsets))


def test_hours_by_channel_and_by_class_are_added():
    evening = tuple(2.0 if hour == 21 else 0.0 for hour in range(24))
    flat = (0.0,) * 24
    by_channel = predict(empty_records([7]), ask(7), model=with_offsets(by_channel=(flat, flat, evening)))
    assert by_channel.engagement[0].argmax(axis=1).tolist()[2] == 21
    assert by_channel.engagement[0, 0].argmax() != 21
    model = with_offsets(by_class=(flat, flat, evening))
    for class_, is_evening in ((1, False), (2, True)):
        hours = predict(empty_records([7]), ask(7, class_=class_), model=model).engagement[0].argmax(axis=1)
        assert (hours == 21).all() == is_evening


def test_weekends_are_days_of_their_own():
    population = predict(empty_records([7]), ask(7)).engagement[0, 0]
    weekend = predict(empty_records([7]), ask(7, weekday=SATURDAY)).engagement[0, 0]
    assert not np.allclose(population, weekend)
