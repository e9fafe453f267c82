from __future__ import annotations

import numpy as np

from clarion.intelligence.serving import NeutralPrior, Question
from clarion.orchestration.decide import FURTHER_CHANNEL_SCORE

WEDNESDAY, SUNDAY = 2, 6


def engagement(hour: int, weekday: int = WEDNESDAY, preferred: int = -1) -> list[float]:
    question = Question(
        user_id=np.array([1]),
        preferred=np.array([preferred]),
        hour=np.array([[hour]], np.int8),
        weekday=np.array([[weekday]], np.int8),
        at_ms=np.array([[0]]),
        class_=np.array([1]),
    )
    return NeutralPrior().predict(question).engagement[0, :, 0].tolist()


def test_it_takes_no_side_between_the_channels():
    assert len(set(engagement(12))) == 1


def test_people_are_up_by_day():
    assert min(engagement(hour)[0] for hour in range(9, 18)) > 2 * max(engagement(h)[0] for h in range(2, 6))


def test_weekends_begin_and_end_later():
    assert engagement(8, SUNDAY) < engagement(8)
    assert engagement(23, SUNDAY) > engagement(23)


def test_saturday_is_a_weekend_and_friday_is_not():
    assert engagement(8, SUNDAY - 1) == engagement(8, SUNDAY)
    assert engagement(8, SUNDAY - 2) == engagement(8, WEDNESDAY)


def test_the_day_is_smooth():
    for weekday in (WEDNESDAY, SUNDAY):
        curve = [engagement(hour, weekday)[0] for hour in range(24)]
        mean = sum(curve) / 24
        assert all(abs(a - b) < 0.4 * mean for a, b in zip(curve, [*curve[1:], curve[0]], strict=True))


def test_the_channel_that_the_user_named_is_better_at_every_hour():
    for hour in range(24):
        email, push, sms = engagement(hour, preferred=1)
        assert push > email == sms


def test_a_guess_never_makes_two_messages_of_one():
    best = max(max(engagement(hour, day, preferred=0)) for hour in range(24) for day in range(7))
    assert best < FURTHER_CHANNEL_SCORE
