"""From what happened to what is recorded: conclusions, attempt entries and events. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.contracts.events import NotificationEvent, derive_event_id
from clarion.contracts.statuses import TERMINAL
from clarion.contracts.work import notification_id_of
from clarion.delivery.model import Job, Outcome
from clarion.delivery.ports import Conclusion

_encode: Final = msgspec.json.Encoder().encode


class AttemptEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a delivery's attempt log, as `/trace` shows it. No PII. `at_ms` is UTC ms of the store's clock."""

    n: int
    at_ms: int
    outcome: str
    provider: str = ""
    provider_message_id: str = ""
    code: str = ""
    detail: str = ""
    rule: str = ""
    took_ms: int = 0
    next_at_ms: int = 0


class Closing(msgspec.Struct, frozen=True):
    """A job with how it ends, or goes on: `status` terminal, or waiting with `due_ms`."""

    job: Job
    epoch: int
    status: str
    entry: AttemptEntry
    due_ms: int = 0
    cost_micros: int = 0
    consent_snapshot: bytes = b""
    attempted: bool = False

    @property
    def final(self) -> bool:
        """Whether the delivery needs no more work of ours."""
        return self.status in TERMINAL


class Rule(msgspec.Struct, frozen=True):
    """Why a job is not sent now: the rule's id and a sentence without PII."""

    rule: str
    detail: str = ""


def close(job: Job, status: str, rule: Rule, at_ms: int) -> Closing:
    """End a job without an attempt (`blocked`, `expired`, `failed`, `unknown`)."""
    entry = AttemptEntry(job.attempts, at_ms, status, job.provider, detail=rule.detail, rule=rule.rule)
    return Closing(job, job.lease_epoch, status, entry)


def defer(job: Job, rule: Rule, due_ms: int, at_ms: int) -> Closing:
    """Leave a job for later, because of a rule; or end it where it would be worthless by then."""
    if job.expires_ms and due_ms >= job.expires_ms:
        detail = f"{rule.rule} moves it past its expiry"
        return close(job, "expired", Rule(rule.rule, detail), at_ms)
    entry = AttemptEntry(
        job.attempts, at_ms, "deferred", detail=rule.detail, rule=rule.rule, next_at_ms=due_ms
    )
    return Closing(job, job.lease_epoch, "deferred", entry, due_ms=due_ms)


def conclusion_of(closing: Closing) -> Conclusion:
    """What the store is told."""
    entry = closing.entry
    return Conclusion(
        delivery_id=closing.job.item.delivery_id,
        epoch=closing.epoch,
        status=closing.status,
        provider=entry.provider if closing.attempted else "",
        provider_message_id=entry.provider_message_id,
        cost_micros=closing.cost_micros,
        attempt_entry=_encode(entry),
        consent_snapshot=closing.consent_snapshot,
        due_ms=closing.due_ms,
        attempted=closing.attempted,
    )


def event_of(closing: Closing) -> NotificationEvent:
    """What the log is told: `sent`, `failed`, `retrying`, …; one per attempt and status."""
    job, entry = closing.job, closing.entry
    item = job.item
    return NotificationEvent(
        event_id=derive_event_id(item.delivery_id, closing.status, closing.epoch),
        type=closing.status,
        at_ms=entry.at_ms,
        tenant_id=item.tenant_id,
        notification_id=notification_id_of(item.delivery_id),
        delivery_id=item.delivery_id,
        user_id=job.user_id,
        category=job.category,
        channel=item.channel,
        provider=entry.provider,
        cost_micros=closing.cost_micros,
        detail=entry.rule or entry.code,
        traceparent=job.traceparent,
    )


class AttemptContext(msgspec.Struct, frozen=True):
    """What surrounded an attempt: when (UTC ms), through whom, how long, on which consent, and when to try again.

    `park`: an ambiguous outcome is left `unknown` instead of risking a duplicate. `retry_ms` 0: no further attempt,
    with `expired` because the message is worthless by then.
    """

    at_ms: int
    provider: str
    took_ms: int
    consent_snapshot: bytes
    retry_ms: int = 0
    expired: bool = False
    park: bool = False


_STATUS: Final = {
    "sent": "sent",
    "transient": "retrying",
    "throttled": "retrying",
    "permanent": "failed",
    "ambiguous": "retrying",
}


def closing_of(job: Job, epoch: int, outcome: Outcome, attempt: AttemptContext) -> Closing:
    """How an attempt's outcome changes its delivery. `attempt.retry_ms` 0: no further attempt."""
    status = "unknown" if outcome.kind == "ambiguous" and attempt.park else _STATUS[outcome.kind]
    retry = attempt.retry_ms if status == "retrying" else 0
    if status == "retrying" and not retry:
        status = "expired" if attempt.expired else "failed"
    entry = AttemptEntry(
        n=job.attempts + 1,
        at_ms=attempt.at_ms,
        outcome=outcome.kind,
        provider=attempt.provider,
        provider_message_id=outcome.provider_message_id,
        code=outcome.code,
        detail=outcome.detail,
        took_ms=attempt.took_ms,
        next_at_ms=retry,
    )
    return Closing(
        job,
        epoch,
        status,
        entry,
        due_ms=retry,
        cost_micros=outcome.cost_micros,
        consent_snapshot=attempt.consent_snapshot,
        attempted=True,
    )
