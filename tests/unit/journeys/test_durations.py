"""Spans and schedules, in each of their spellings."""

from __future__ import annotations

from typing import Any

import pytest

from clarion.journeys.durations import read_span, write_span
from clarion.journeys.schedules import Cron, read_cron

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("24h", DAY),
        ("2 days", 2 * DAY),
        ("1d12h", DAY + 12 * HOUR),
        ("1 day, 2 hours and 5 minutes", DAY + 2 * HOUR + 5 * MINUTE),
        ("P1DT2H", DAY + 2 * HOUR),
        ("PT5M", 5 * MINUTE),
        ("P2W", 14 * DAY),
        ("1.5h", 90 * MINUTE),
        ("an hour", HOUR),
        ("500 ms", 500),
        (3600, HOUR),
        (0, 0),
        ("0", 0),
        ("immediately", 0),
        ({"hours": 2}, 2 * HOUR),
        ({"days": 1, "hours": 2}, DAY + 2 * HOUR),
        ({"value": 2, "unit": "hours"}, 2 * HOUR),
        ({"amount": 1, "unit": "week"}, 7 * DAY),
    ],
    ids=repr,
)
def test_spans(value: Any, span: int) -> None:
    assert read_span(value) == span


@pytest.mark.parametrize(
    "value",
    [
        *("", "soon", "5", "h", "1h30", "-3d", "999999 days", "P", "PT", "\u0661h", "1" * 200),
        *(
            -1,
            1e300,
            float("nan"),
            float("inf"),
            10**400,
            True,
            None,
            [],
            {},
            {"hours": "2"},
            {"unit": "hours"},
        ),
        *({"hours": True}, {"parsecs": 2}, {"value": 2, "unit": "parsecs"}, {1: 2}),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_span(value: Any) -> None:
    assert read_span(value) is None


@pytest.mark.parametrize(
    ("value", "span"),
    [("-3d", -3 * DAY), ("3 days before", -3 * DAY), ("+1h", HOUR), ("2 hours after", 2 * HOUR)],
)
def test_an_offset_may_go_back(value: str, span: int) -> None:
    assert read_span(value, signed=True) == span


def test_a_span_in_words() -> None:
    assert write_span(DAY + 2 * HOUR) == "1 day 2 hours"
    assert write_span(-MINUTE) == "-1 minute"
    assert write_span(0) == "no time"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("0 9 * * 1", "0 9 * * 1"),
        ("*/15 8-18 * jan,jul mon-fri", "*/15 8-18 * jan,jul mon-fri"),
        ("@daily", "0 0 * * *"),
        ("weekly", "30 9 * * 1"),
        ("daily", "30 9 * * *"),
    ],
)
def test_schedules(text: str, fields: str) -> None:
    cron = read_cron(text, 9 * 60 + 30)

    assert isinstance(cron, Cron)
    assert cron.text == fields


def test_a_schedule_knows_its_moments() -> None:
    cron = read_cron("*/20 9,18 1 * sun", 0)

    assert isinstance(cron, Cron)
    assert (cron.minutes, cron.hours, cron.days, cron.weekdays) == ({0, 20, 40}, {9, 18}, {1}, {6})
    assert cron.either_day


@pytest.mark.parametrize(
    "text",
    [
        "",
        "9",
        "60 9 * * *",
        "0 24 * * *",
        "0 9 31 2 *",
        "0 9 * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a b c d e",
    ],
)
def test_what_is_no_schedule_is_explained(text: str) -> None:
    assert isinstance(read_cron(text), str)
