"""Deliveries that workers died over, or failed on: how often, and what follows from it. Pure.

A crash takes all with it that its worker held, and nobody can tell which of them did it. So suspects are tried with
care: first few at a time, then, when one more crash would be one too many, alone. Only the one that is alone when the
last crash comes is given up; what merely stood beside it is delivered.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from clarion.kernel.errors import ClarionError

MAX_CRASHES: Final = 3
"""Workers that may die over a delivery."""

MAX_DELIVERIES: Final = 5
"""Claims of a delivery that may come to nothing through an error of ours."""

TRIAL_BATCH: Final = 100
"""Suspects that are tried together: those that a second crash makes suspect for the second time."""

FIRST_WAIT_MS: Final = 1_000
"""Wait after the first claim that came to nothing; doubled with each further one."""


class Suspicion(msgspec.Struct, frozen=True):
    """What is held against a delivery. `held_until_ms`: another process tries it until then (0: none does)."""

    delivery_id: bytes
    crashes: int
    deliveries: int
    held_until_ms: int = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether it is to become a dead letter."""
        return self.crashes >= MAX_CRASHES or self.deliveries >= MAX_DELIVERIES

    @property
    def goes_alone(self) -> bool:
        """Whether it is tried by itself: one more crash is the last, or it failed in company twice."""
        return self.crashes >= MAX_CRASHES - 1 or self.deliveries >= 2  # noqa: PLR2004  once with all, once with few


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up because of ourselves. Times are UTC ms of the store's clock; no PII.

    `reason`: `crashed_workers` or `deliveries`. `status`: how the delivery ended, `failed`, or `unknown` where an
    attempt may have arrived. `redriven_ms`: when it was last opened anew, for `redrive_due_ms`; None while it is dead.
    """

    delivery_id: bytes
    notification_id: bytes
    tenant_id: bytes
    user_id: str
    category: str
    channel: str
    template: str
    priority: int
    is_test: bool
    reason: str
    last_error: str
    crashes: int
    deliveries: int
    attempts: int
    provider: str
    status: str
    created_ms: int
    died_ms: int
    redrives: int
    redriven_ms: int | None
    redrive_due_ms: int | None


class Trials(msgspec.Struct, frozen=True):
    """Suspects by what is to be done with them. `groups` are tried one group at a time, each by itself."""

    hopeless: list[bytes]
    groups: list[list[bytes]]
    alone: list[bytes]


def plan_trials(suspicions: Iterable[Suspicion]) -> Trials:
    """Sort suspects that nobody else tries: beyond hope, tried in groups of TRIAL_BATCH, or one by one."""
    hopeless: list[bytes] = []
    together: list[bytes] = []
    alone: list[bytes] = []
    for suspicion in suspicions:
        chosen = hopeless if suspicion.is_hopeless else alone if suspicion.goes_alone else together
        chosen.append(suspicion.delivery_id)
    groups = [together[i : i + TRIAL_BATCH] for i in range(0, len(together), TRIAL_BATCH)]
    return Trials(hopeless, groups, alone)


def wait_ms(deliveries: int) -> int:
    """How long a delivery waits after its claim number `deliveries` that came to nothing."""
    return FIRST_WAIT_MS << min(deliveries - 1, MAX_DELIVERIES)


def describe_error(error: Exception) -> str:
    """What an operator can be told of an error: its type and where it was raised, for messages can hold PII.

    Errors of ours come with their sentence, which holds none.
    """
    frames: Sequence[traceback.FrameSummary] = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else "?"
    said = f": {error.detail}" if isinstance(error, ClarionError) else ""
    return f"{type(error).__name__} at {place}{said}"
