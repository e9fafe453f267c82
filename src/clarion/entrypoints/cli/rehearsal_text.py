"""A rehearsal's result for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from clarion.journeys.durations import write_span
from clarion.journeys.rehearsal import Result
from clarion.journeys.rehearsal.figures import UserStory
from clarion.journeys.timeline import WORDS

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_WIDTH: Final = 30
_DAY_HOURS: Final = 24
_MILLION: Final = 1_000_000


def show_result(name: str, result: Result) -> Iterator[str]:
    """The figures, line by line."""
    begin = datetime.fromtimestamp(result.begin_ms / 1000, UTC)
    yield f"{name}: {result.people:,} users over {result.days:g} days from {begin:%a %Y-%m-%d %H:%M} UTC"
    states = " · ".join(f"{count:,} {status}" for status, count in sorted(result.statuses.items()))
    yield f"{result.entered:,} runs" + (f": {states}" if states else "")
    yield ""
    yield f"{'channel':<9}{'sent':>10}{'delivered':>12}{'engaged':>10}{'cost':>12}"
    for channel, figures in result.channels.items():
        shares = f"{_share(figures.delivered, figures.sent):>12}{_share(figures.engaged, figures.sent):>10}"
        yield f"{channel:<9}{figures.sent:>10,}{shares}{figures.cost_micros / _MILLION:>12,.2f}"
    yield f"{'all':<9}{result.sent:>10,}{'':>22}{result.cost_micros / _MILLION:>12,.2f}"
    yield from _volumes(result)
    yield from _steps(result)
    for title, counts in (
        ("goals", result.goals),
        ("blocked by", result.blocked),
        ("moved to a later hour by", result.moved),
        ("not asked for", result.skipped),
        ("did not enter", result.refused),
    ):
        yield from _counts(title, counts)
    if result.recalled:
        yield f"taken back: {result.recalled:,}"
    for assumed in result.assumed:
        yield f"assumed: {assumed}"


def show_user(story: UserStory) -> Iterator[str]:
    """What one user got and why, line by line."""
    yield f"{story.user}:"
    for refusal in story.refused:
        yield f"  did not enter: {refusal}"
    for run in story.runs:
        reason = f" ({run.reason})" if run.reason else ""
        yield f"  a run, {run.status}{reason}"
        for line in run.timeline:
            detail = f": {line.detail}" if line.detail else ""
            yield f"    {_when(line.at_ms)}  {line.step:<20} {WORDS.get(line.what, line.what)}{detail}"
    for posted in story.messages:
        why = f" ({posted.rule})" if posted.rule else ""
        at = _when(posted.out_ms or posted.due_ms)
        yield f"  {at}  {posted.channel:<6} {posted.template or posted.step}: {posted.status}{why}"


def _volumes(result: Result) -> Iterator[str]:
    hours = [sum(counts) for counts in zip(*(one.by_hour for one in result.channels.values()), strict=True)]
    if not any(hours):
        return
    days = [sum(hours[first : first + _DAY_HOURS]) for first in range(0, len(hours), _DAY_HOURS)]
    fullest = max(range(len(hours)), key=hours.__getitem__)
    yield ""
    yield f"by day   {_line(days)}  up to {max(days):,}"
    at = _when(result.begin_ms + fullest * 3_600_000)
    yield f"by hour  the fullest begins {at}, with {hours[fullest]:,}"


def _steps(result: Result) -> Iterator[str]:
    most = max((one.entered for one in result.steps.values()), default=0)
    width = max((len(name) for name in result.steps), default=0)
    yield ""
    yield "runs that came to each step, and how long they took"
    for name, one in result.steps.items():
        bar = "█" * round(_WIDTH * one.entered / most) if most else ""
        took = f"  {write_span(one.median_ms)}" if one.median_ms else ""
        there = f"  {one.waiting:,} are there" if one.waiting else ""
        lost = f"  {one.failed:,} failed" if one.failed else ""
        yield f"  {name:<{width}} {one.entered:>9,} {bar:<{_WIDTH}}{took}{there}{lost}".rstrip()


def _counts(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if counts:
        listed = " · ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
        yield f"{title}: {listed}"


def _line(values: Sequence[int]) -> str:
    most = max(values)
    return "".join(_BLOCKS[-(-value * (len(_BLOCKS) - 1) // most)] for value in values)


def _share(count: int, of: int) -> str:
    return f"{100 * count / of:.1f} %" if of else "-"


def _when(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%a %Y-%m-%d %H:%M} UTC"
