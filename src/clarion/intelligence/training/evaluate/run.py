"""Judging the models on what people did: everything that they say of a day is said before the day is known."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from clarion.intelligence.models import ChannelParameters, SendTimeParameters
from clarion.intelligence.training.evaluate.activity import Activity
from clarion.intelligence.training.evaluate.breaks import (
    alarm_after,
    false_alarms,
    find_break,
    judge_recovery,
)
from clarion.intelligence.training.evaluate.days import judge_days
from clarion.intelligence.training.evaluate.habits import judge_habits
from clarion.intelligence.training.evaluate.report import (
    Row,
    rows_elsewhere,
    rows_of_breaks,
    rows_of_days,
    rows_of_habits,
)
from clarion.intelligence.training.evaluate.walk import Tell, fit_before
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import DAY_MS

TUNED_ON: Final = 2 / 3
"""Share of the time that models are tuned on, where no date is given."""

LEAST_DAYS: Final = 3


class Report(msgspec.Struct, frozen=True):
    """What came of it. `ok`: every row of which something is asked, and which the file can tell, is where it has to be.

    `split`: ISO date and time (UTC) from which results count; `people`, `signs`: of the file, and `judged` of the
    people; `send_time`, `channel`: what was fitted before the split, on those who are not judged.
    """

    ok: bool
    split: str
    people: int
    judged: int
    signs: int
    surfaces: tuple[str, ...]
    rows: tuple[Row, ...]
    send_time: SendTimeParameters
    channel: ChannelParameters


def split_of(activity: Activity) -> int:
    """Two thirds of the time that a file spans, UTC ms, at the beginning of a day."""
    first, last = int(activity.at_ms[0]), int(activity.at_ms[-1])
    return (first + int((last - first) * TUNED_ON)) // DAY_MS * DAY_MS


def evaluate(activity: Activity, from_ms: int | None, tell: Tell) -> Report:
    """Tune on half of the people before `from_ms` (None: `split_of`), and judge on the other half after it.

    Pure; the same activity gives the same report. Raises Invalid where too little comes before or after the split.
    """
    split_ms = split_of(activity) if from_ms is None else from_ms
    first, last = int(activity.at_ms[0]), int(activity.at_ms[-1])
    if min(split_ms - first, last - split_ms) < LEAST_DAYS * DAY_MS:
        raise Invalid(
            f"the activity is from {_iso(first)} to {_iso(last)}: on both sides of the split, {_iso(split_ms)}, there "
            f"have to be {LEAST_DAYS} days; give another one with --from",
            "from",
        )
    tell("fit", 0.0)
    model = fit_before(activity, split_ms)
    tell("fit", 1.0)
    rows = [
        *rows_of_habits(judge_habits(activity, model, split_ms, tell)),
        *rows_of_days(judge_days(activity, model, split_ms, tell)),
    ]
    change = find_break(activity)
    rows += rows_of_breaks(
        judge_recovery(activity, change, tell) if change else None,
        alarm_after(activity, change) if change else None,
        false_alarms(activity),
    )
    rows += rows_elsewhere()
    return Report(
        ok=all(row.ok for row in rows if row.ok is not None),
        split=_iso(split_ms),
        people=activity.people,
        judged=int(activity.judged.sum()),
        signs=len(activity),
        surfaces=activity.surfaces,
        rows=tuple(rows),
        send_time=model.send_time,
        channel=model.channel,
    )


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
