"""Fallback chains as the API shows them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from clarion.adapters.postgres.notifications import DeliveryRecord
from clarion.contracts.commands import FallbackStep
from clarion.orchestration.chains import Leg, Over, judge
from clarion.orchestration.fall_back import HistoryEntry
from clarion.orchestration.rows import format_time


class FallbackStepView(msgspec.Struct, frozen=True):
    """One further channel of a notification.

    `state`: `waiting`; `taken` (at `at`; `cancelled`: the channels on which the message still waited, and was
    cancelled); `blocked` by `rules`; `passed_over`, because the channel had a delivery already; `not_needed`.
    """

    channel: str
    after_s: int
    unless: str
    state: str
    at: str | None = None
    rules: list[str] = []
    cancelled: list[str] = []


class FallbackView(msgspec.Struct, frozen=True):
    """The channels that a notification goes on to. `next_at`: when it is looked at again, null when it is over.

    `state`: `waiting`, `succeeded` (no further channel was needed), `exhausted` (each was tried), `expired` or
    `cancelled` (with the notification, or because its user or category is gone).
    """

    state: str
    next_at: str | None
    steps: list[FallbackStepView]


def as_fallback(records: Sequence[DeliveryRecord]) -> FallbackView | None:
    """The chain of a notification, of its deliveries' rows (at least one); None where it has none."""
    chain = records[0].chain
    if chain is None:
        return None
    dropped = {channel for entry in chain.history for channel in entry.cancelled}
    legs = [_leg(record, dropped) for record in records]
    # Whether it has succeeded is only looked at when the next step is due; who reads sees it at once.
    verdict = judge(chain.steps, chain.step, legs, 0, 0) if chain.state == "waiting" else Over("waiting")
    has_succeeded = verdict == Over("succeeded")
    state = "succeeded" if has_succeeded else chain.state
    done = {entry.channel: entry for entry in chain.history}
    steps = [
        _step(step, done.get(step.channel), is_behind=i < chain.step, is_over=state != "waiting")
        for i, step in enumerate(chain.steps)
    ]
    next_at = format_time(chain.due_ms) if chain.due_ms and not has_succeeded else None
    return FallbackView(state, next_at, steps)


def _step(
    step: FallbackStep, entry: HistoryEntry | None, *, is_behind: bool, is_over: bool
) -> FallbackStepView:
    if entry is not None:
        return FallbackStepView(
            step.channel,
            step.after_s,
            step.unless,
            entry.did,
            format_time(entry.at_ms),
            entry.rules,
            entry.cancelled,
        )
    state = "passed_over" if is_behind else "not_needed" if is_over else "waiting"
    return FallbackStepView(step.channel, step.after_s, step.unless, state)


def _leg(record: DeliveryRecord, dropped: Collection[str]) -> Leg:
    is_dropped = record.channel in dropped
    return Leg(record.delivery_id, record.channel, record.status, record.send_ms or 0, is_dropped=is_dropped)
