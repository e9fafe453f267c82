"""The named features, of users whose story is short enough to count by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clarion.intelligence.features import FEATURES, NAMES, SignKind, Signs, compute, empty_records, fold
from clarion.kernel.local_time import DAY_MS, HOUR_MS

MONDAY_MS = 20_241 * DAY_MS  # 2 June 2025, 00:00 UTC
NOW_MS = MONDAY_MS + 2 * DAY_MS
EMAIL, PUSH, SMS = 0, 1, 2

SPECIFIED = (
    "email_open_rate_7d",
    "push_open_rate_7d",
    "sms_click_rate_7d",
    "email_click_rate_30d",
    "days_since_last_engagement",
    "notifications_received_7d",
    "preferred_hour",
    "engagement_score",
    "channel_preference_score",
)


def described(*story: tuple[SignKind, int, float], now_ms: int = NOW_MS) -> dict[str, float]:
    """The features of a user of whom (kind, channel, hours after Monday's midnight UTC) is known."""
    kinds, channels, hours = zip(*story, strict=True) if story else ((), (), ())
    signs = Signs(
        np.ones(len(story), np.int64),
        np.array(kinds, np.int64),
        np.array(channels, np.int64),
        MONDAY_MS + (np.array(hours) * HOUR_MS).astype(np.int64),
        np.zeros(len(story), np.int64),
        np.arange(1, len(story) + 1, dtype=np.uint64),
    )
    (row,) = compute(fold(empty_records([1]), signs), now_ms)
    return dict(zip(NAMES, row.tolist(), strict=True))


def test_names_are_distinct_and_the_specified_come_first() -> None:
    assert NAMES[: len(SPECIFIED)] == SPECIFIED
    assert len(set(NAMES)) == len(FEATURES) == 48
    assert all(feature.says for feature in FEATURES)


def test_of_somebody_unknown_everything_is_said_and_finite() -> None:
    values = described()
    assert values["engagement_score"] < 1e-6
    assert values["preferred_hour"] == -1
    assert values["days_since_last_engagement"] == 400
    assert np.isfinite(list(values.values())).all()


def test_rates_are_per_send_and_leave_machines_out() -> None:
    values = described(
        (SignKind.SENT, EMAIL, 8),
        (SignKind.SENT, EMAIL, 9),
        (SignKind.SENT, EMAIL, 10),
        (SignKind.SENT, EMAIL, 11),
        (SignKind.OPENED, EMAIL, 11.5),
        (SignKind.MACHINE, EMAIL, 8.01),
        (SignKind.SENT, SMS, 11),
        (SignKind.CLICKED, SMS, 11.2),
    )
    assert values["email_open_rate_7d"] == pytest.approx(0.25, abs=0.01)
    assert values["sms_click_rate_7d"] == pytest.approx(1, abs=0.01)
    assert values["push_open_rate_7d"] == 0
    assert values["notifications_received_7d"] == pytest.approx(5 * 2 ** (-1.6 / 7), rel=0.01)
    assert values["email_machine_share"] == pytest.approx(0.5, abs=0.01)
    assert values["answer_rate"] == pytest.approx(0.2, abs=0.01)


def test_hours_are_those_of_most_presence() -> None:
    values = described(
        *((SignKind.ACTIVE, PUSH, day * 24 + hour) for day in (0, 1) for hour in (19, 20, 21, 9))
    )
    assert values["preferred_hour"] == 20
    assert values["preferred_hour_share"] == pytest.approx(0.75, abs=0.01)
    assert values["weekend_share"] == 0
    assert values["preferred_hour_weekend"] == -1
    assert values["channel_preference_score"] == 1
    assert values["visit_gap_hours"] == pytest.approx((10 + 12 + 10) / 3, abs=0.1)
    assert values["days_since_last_engagement"] == pytest.approx(3 / 24)


def test_engagement_is_above_a_half_for_the_lively_and_falls_in_silence() -> None:
    lively = [(SignKind.ACTIVE, PUSH, hour) for hour in range(0, 48, 3)]
    assert described(*lively)["engagement_score"] > 0.7
    assert described(*lively, now_ms=NOW_MS + 60 * DAY_MS)["engagement_score"] < 0.2
    ignoring = [*lively, *((SignKind.SENT, EMAIL, hour) for hour in range(24))]
    assert described(*ignoring)["engagement_score"] < described(*lively)["engagement_score"]


def test_unanswered_messages_tire() -> None:
    few = described((SignKind.SENT, PUSH, 1))
    many = described(*((SignKind.SENT, PUSH, hour) for hour in range(20)))
    answered = described(
        *((kind, PUSH, hour) for hour in range(20) for kind in (SignKind.SENT, SignKind.OPENED))
    )
    assert answered["push_fatigue"] < few["push_fatigue"] < many["push_fatigue"] < 1


def test_the_reference_tells_of_every_feature() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "features.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{feature.name}` | {feature.says} |" for feature in FEATURES]
