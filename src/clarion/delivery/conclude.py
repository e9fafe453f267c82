"""From what happened to what is recorded: conclusions, attempt entries and events. Pure."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from clarion.contracts.events import NotificationEvent, derive_event_id, name_run
from clarion.contracts.statuses import TERMINAL
from clarion.contracts.work import notification_id_of
from clarion.delivery.failover import is_excused, pause_ms
from clarion.delivery.model import Conclusion, Job, Outcome
from clarion.delivery.ranking import Note
from clarion.delivery.retry import GiveUp, Retry, RetryDecision, next_attempt

FAILOVER: Final = "failover"
"""The rule of an attempt after which another provider is asked at once."""

_encode: Final = msgspec.json.Encoder().encode


class AttemptEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a delivery's attempt log, as `/trace` shows it. No PII. `at_ms` is UTC ms of the store's clock.

    `locale`: the language that the message was in, where its template has several. `route`: why this provider, where
    there was a choice. `law`: the rule of the rulebook behind `rule`; `ruleset`: the version of the rulebook that was
    asked.
    """

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
    locale: str = ""
    route: Note | None = None
    law: str = ""
    ruleset: str = ""


class Closing(msgspec.Struct, frozen=True):
    """A job with how it ends, or goes on: `status` terminal, or waiting with `due_ms`. The rest as in `Conclusion`."""

    job: Job
    epoch: int
    status: str
    entry: AttemptEntry
    due_ms: int = 0
    cost_micros: int = 0
    consent_snapshot: bytes = b""
    attempted: bool = False
    moves_on: bool = False
    excused: bool = False
    by_message_id: bool = False

    @property
    def final(self) -> bool:
        """Whether the delivery needs no more work of ours."""
        return self.status in TERMINAL


class Rule(msgspec.Struct, frozen=True):
    """Why a job is not sent now: the rule's id and a sentence without PII; `law`, `ruleset` as in `AttemptEntry`."""

    rule: str
    detail: str = ""
    law: str = ""
    ruleset: str = ""


def close(job: Job, status: str, rule: Rule, at_ms: int) -> Closing:
    """End a job without an attempt (`blocked`, `expired`, `failed`, `unknown`)."""
    entry = AttemptEntry(
        job.attempts,
        at_ms,
        status,
        job.provider,
        detail=rule.detail,
        rule=rule.rule,
        law=rule.law,
        ruleset=rule.ruleset,
    )
    return Closing(job, job.lease_epoch, status, entry)


def defer(job: Job, rule: Rule, due_ms: int, at_ms: int) -> Closing:
    """Leave a job for later, because of a rule; or end it where it would be worthless by then."""
    if job.expires_ms and due_ms >= job.expires_ms:
        detail = f"{rule.rule} moves it past its expiry"
        return close(job, "expired", replace(rule, detail=detail), at_ms)
    entry = AttemptEntry(
        job.attempts,
        at_ms,
        "deferred",
        detail=rule.detail,
        rule=rule.rule,
        next_at_ms=due_ms,
        law=rule.law,
        ruleset=rule.ruleset,
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
        moves_on=closing.moves_on,
        excused=closing.excused,
        by_message_id=closing.by_message_id,
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
        is_test=job.is_test,
        journey_id=name_run(job.journey_id),
    )


class Attempt(msgspec.Struct, frozen=True):
    """What surrounded an attempt: when it ended (UTC ms), through whom, how long it took, and on which consent.

    `park`: an ambiguous outcome is left `unknown` rather than risking a duplicate. `random` in [0, 1) spreads retries.
    `moves_on`: the next attempt had better be another provider's; `fails_over`: there is one that can be asked at once.
    `locale`, `route`, `ruleset`: see `AttemptEntry`. `by_message_id`: see `Conclusion`.
    """

    epoch: int
    at_ms: int
    provider: str
    took_ms: int
    consent_snapshot: bytes
    park: bool
    random: float
    locale: str = ""
    moves_on: bool = False
    fails_over: bool = False
    by_message_id: bool = False
    route: Note | None = None
    ruleset: str = ""


def settle(job: Job, outcome: Outcome, attempt: Attempt) -> Closing:
    """How an attempt's outcome changes its delivery: sent, tried again, or ended."""
    status, rule, due_ms = "sent", "", 0
    if outcome.kind == "ambiguous" and attempt.park:
        status, rule = "unknown", "on_ambiguity"
    elif outcome.kind != "sent":
        match _after_failure(job, outcome, attempt):
            case Retry(due_ms=due_ms):
                status, rule = "retrying", FAILOVER if attempt.fails_over else ""
            case GiveUp(status=status, rule=rule):
                pass
    entry = AttemptEntry(
        n=job.attempts + 1,
        at_ms=attempt.at_ms,
        outcome=outcome.kind,
        provider=attempt.provider,
        provider_message_id=outcome.provider_message_id,
        code=outcome.code,
        detail=outcome.detail,
        rule=rule,
        took_ms=attempt.took_ms,
        next_at_ms=due_ms,
        locale=attempt.locale,
        route=attempt.route,
        ruleset=attempt.ruleset,
    )
    return Closing(
        job,
        attempt.epoch,
        status,
        entry,
        due_ms=due_ms,
        cost_micros=outcome.cost_micros,
        consent_snapshot=attempt.consent_snapshot,
        attempted=True,
        moves_on=attempt.moves_on,
        excused=is_excused(outcome),
        by_message_id=attempt.by_message_id,
    )


def _after_failure(job: Job, outcome: Outcome, attempt: Attempt) -> RetryDecision:
    if attempt.fails_over:
        due_ms = attempt.at_ms + pause_ms(outcome, job.item.priority, attempt.random)
        in_time = not job.expires_ms or due_ms < job.expires_ms
        return Retry(due_ms) if in_time else GiveUp("expired", "expiry")
    # Each provider's first attempt belongs to the same round: a failover makes the schedule behind it no longer.
    moves = len({*job.tried, attempt.provider}) - 1
    counted = job.attempts + 1 - job.excused - moves
    return next_attempt(outcome, counted, attempt.at_ms, job.expires_ms, attempt.random)
