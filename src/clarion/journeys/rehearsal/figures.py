"""What came of a rehearsal: counts, volumes and money, and the story of some users.

Money is in millionths of the account's unit; hours count from the beginning; shares are of 1.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from clarion.contracts.channels import CHANNELS
from clarion.contracts.journey_events import JourneyEvent
from clarion.journeys.model import Instance

HOUR_MS: Final = 3_600_000


class Posted(msgspec.Struct):
    """One message on one channel. `status`: `queued`, `sent`, `delivered`, `engaged`, `failed`, `blocked`, `recalled`.

    `rule`: what blocked it, or moved it to a later time. `out_ms`: when it went out (0: it has not).
    """

    user: str
    step: str
    visit: int
    channel: str
    template: str
    decided_ms: int
    status: str
    rule: str = ""
    due_ms: int = 0
    out_ms: int = 0
    cost_micros: int = 0


class ChannelFigures(msgspec.Struct):
    """One channel's messages. `by_hour[h]`: how many went out in hour h."""

    sent: int = 0
    delivered: int = 0
    engaged: int = 0
    failed: int = 0
    cost_micros: int = 0
    by_hour: list[int] = []


class StepFigures(msgspec.Struct):
    """One step. `waiting`: runs that stand there at the end; `median_ms`: time that runs took for it."""

    entered: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    waiting: int = 0
    median_ms: int = 0
    results: dict[str, int] = {}


class RunMoment(msgspec.Struct, frozen=True):
    """One line of a run's timeline; `detail` as the engine has it."""

    at_ms: int
    step: str
    what: str
    detail: str = ""


class RunStory(msgspec.Struct, frozen=True):
    """One run of a user, with its timeline."""

    status: str
    reason: str
    step: str
    entered_ms: int
    ended_ms: int
    goals: list[str]
    timeline: list[RunMoment]


class UserStory(msgspec.Struct, frozen=True):
    """One user: her runs, and what she got or did not get, and why."""

    user: str
    runs: list[RunStory]
    messages: list[Posted]
    refused: list[str]


class Result(msgspec.Struct, frozen=True):
    """All of it. `refused`: entries that were none, by reason. `blocked`, `moved`: messages by the rule that did it.

    `skipped`: messages of which nothing was asked, by why. `goals`: runs that reached each. `ends`: runs that ended, by
    status and reason. `assumed`: what the rehearsal took for granted.
    """

    begin_ms: int
    days: float
    people: int
    entered: int
    statuses: dict[str, int]
    ends: dict[str, int]
    refused: dict[str, int]
    channels: dict[str, ChannelFigures]
    blocked: dict[str, int]
    moved: dict[str, int]
    skipped: dict[str, int]
    recalled: int
    steps: dict[str, StepFigures]
    goals: dict[str, int]
    users: list[UserStory]
    assumed: list[str] = []

    @property
    def sent(self) -> int:
        """Messages that went out, on all channels."""
        return sum(figures.sent for figures in self.channels.values())

    @property
    def cost_micros(self) -> int:
        """What they cost."""
        return sum(figures.cost_micros for figures in self.channels.values())


class Books:
    """Counts as they come in."""

    def __init__(self, begin_ms: int, hours: int, steps: Sequence[str]) -> None:
        self.channels = {channel: ChannelFigures(by_hour=[0] * hours) for channel in CHANNELS}
        self.blocked: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.goals: Counter[str] = Counter()
        self.recalled = 0
        self.steps = {name: StepFigures(results={}) for name in steps}
        self._begin_ms = begin_ms
        self._took: defaultdict[str, list[int]] = defaultdict(list)

    def go_out(self, posted: Posted) -> None:
        """A message went out."""
        figures = self.channels[posted.channel]
        figures.sent += 1
        figures.cost_micros += posted.cost_micros
        hour = (posted.out_ms - self._begin_ms) // HOUR_MS
        figures.by_hour[min(hour, len(figures.by_hour) - 1)] += 1

    def hear(self, events: Sequence[JourneyEvent]) -> None:
        """What runs told of themselves."""
        for event in events:
            match event.type:
                case "step_entered":
                    self.steps[event.step].entered += 1
                case "step_done":
                    self._leave(event).done += 1
                case "step_skipped":
                    self._leave(event).skipped += 1
                case "step_failed":
                    self._leave(event).failed += 1
                case "goal":
                    self.goals[event.detail] += 1
                case _:
                    pass

    def _leave(self, event: JourneyEvent) -> StepFigures:
        figures = self.steps[event.step]
        self._took[event.step].append(event.took_ms)
        if event.detail:
            figures.results[event.detail] = figures.results.get(event.detail, 0) + 1
        return figures

    def close(self, runs: Sequence[Instance]) -> dict[str, StepFigures]:
        """Each step's figures, with the runs that stand there now."""
        for run in runs:
            if run.status == "active" and run.step in self.steps:
                self.steps[run.step].waiting += 1
        for name, took in self._took.items():
            self.steps[name].median_ms = round(median(took))
        return self.steps


def tell_run(run: Instance) -> RunStory:
    """A run as its timeline has it."""
    progress = run.progress
    lines = [RunMoment(entry.at_ms, entry.step, entry.what, entry.detail) for entry in progress.trail]
    return RunStory(
        run.status, run.reason, run.step, run.entered_ms, run.ended_ms, list(progress.goals), lines
    )
