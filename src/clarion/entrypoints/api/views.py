"""Notifications as the API shows them: from rows to answers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, Final, cast

import msgspec

from clarion.adapters.postgres.notifications import DeliveryRecord, ListedDelivery
from clarion.compliance.model import ConsentState
from clarion.compliance.rules import EXPLANATIONS, Rule
from clarion.contracts.channels import CHANNELS, names_of
from clarion.contracts.statuses import Status
from clarion.delivery.conclude import AttemptEntry
from clarion.delivery.state_machine import notification_status
from clarion.entrypoints.api.chain_views import FallbackView, as_fallback
from clarion.entrypoints.api.route_views import RouteView, view_route
from clarion.intelligence.serving import names_of_features
from clarion.kernel.ids import format_id
from clarion.orchestration.explain import MOVED
from clarion.orchestration.explore import read_candidates
from clarion.orchestration.model import Decision
from clarion.orchestration.rows import DecisionRecord, format_time
from clarion.tenancy.model import Environment, environment_of

_decision: Final = msgspec.json.Decoder(DecisionRecord).decode
_attempts: Final = msgspec.json.Decoder(list[AttemptEntry]).decode
_consent: Final = msgspec.json.Decoder(ConsentState).decode
_metadata: Final = msgspec.json.Decoder(dict[str, Any]).decode

_MICROS: Final = Decimal("0.000001")


class DeliveryView(msgspec.Struct, frozen=True):
    """One delivery. Times are ISO 8601 UTC, null where it has not come to that; the cost is in currency units."""

    delivery_id: str
    channel: str
    status: str
    provider: str | None
    provider_cost: Decimal | None
    provider_message_id: str | None
    attempts: int
    created_at: str
    sent_at: str | None
    delivered_at: str | None
    engaged_at: str | None
    ml_send_time: str | None


class NotificationView(msgspec.Struct, frozen=True):
    """A notification: its status is that of its most advanced delivery. `fallback`: null where it has no chain."""

    notification_id: str
    status: str
    environment: Environment
    user_id: str
    category: str
    priority: int
    template: str | None
    template_version: int | None
    journey_id: str | None
    metadata: dict[str, Any]
    created_at: str
    expires_at: str | None
    deliveries: list[DeliveryView]
    fallback: FallbackView | None = None


class ListedView(msgspec.Struct, frozen=True):
    """One delivery of a listed notification."""

    delivery_id: str
    channel: str
    status: str
    sent_at: str | None


class ListedNotification(msgspec.Struct, frozen=True):
    """One notification of a list, with those of its deliveries that were asked for."""

    notification_id: str
    environment: Environment
    user_id: str | None
    category: str
    created_at: str
    deliveries: list[ListedView]


class NotificationList(msgspec.Struct, frozen=True):
    """A page. `next_cursor` asks for the next one; null: this is the last."""

    notifications: list[ListedNotification]
    next_cursor: str | None


class CancelView(msgspec.Struct, frozen=True):
    """What was cancelled, and what was left because somebody had begun to send it or it was over."""

    notification_id: str
    cancelled: list[ListedView]
    left: list[ListedView]


class ReasonDetail(msgspec.Struct, frozen=True):
    """Why a channel was not taken, or was moved to a later hour: `rule` for programs, `explanation` for people.

    `law`: the rule of the rulebook by which (null: it is none of its own).
    """

    channel: str
    rule: str
    effect: str
    explanation: str
    law: str | None = None


class ChosenView(msgspec.Struct, frozen=True):
    """A channel that was chosen: the first status of its delivery, when it was due, and its score."""

    channel: str
    status: str
    due_at: str
    score: float
    moved_by: str | None


class AlternativeView(msgspec.Struct, frozen=True):
    """A channel and hour that was open and not taken."""

    channel: str
    at: str
    score: float


class ConsentSeen(msgspec.Struct, frozen=True):
    """Consent as it stood: channels by category (`*`: all categories)."""

    granted: dict[str, list[str]]
    denied: dict[str, list[str]]
    suppressed: list[str]


class DecisionInputs(msgspec.Struct, frozen=True):
    """What the decision was made on; `ruleset`: by which version of the rulebook ("": before there was one)."""

    send_time: str
    channel_selection: str
    requested_channels: list[str]
    category_class: str
    timezone: str
    country: str
    card_version: int
    consent: ConsentSeen
    messages_of_the_day: dict[str, int]
    jurisdictions: list[str] = []
    ruleset: str = ""


class DecisionView(msgspec.Struct, frozen=True):
    """The decision: what was chosen, what was not and why, and what would have been next.

    `propensity`: how probable what was chosen was, by its `policy`. `explored`: something else than the best was tried;
    `candidates`: how many hours of each channel had a chance to be (empty: nothing but the best). `holdout`: features
    that do not use what was learned of this user. `ml_fallback`: the model had less to go by than it should have had.
    `features`: the layout of the records that it read.
    """

    decided_at: str
    status: str
    chosen: list[ChosenView]
    reasons: list[ReasonDetail]
    alternatives: list[AlternativeView]
    channel_scores: dict[str, float]
    predicted_engagement: float
    confidence: float
    optimal_send_time: str | None
    model: str
    propensity: float
    inputs: DecisionInputs
    policy: str = ""
    explored: bool = False
    candidates: dict[str, int] = {}
    holdout: list[str] = []
    ml_fallback: bool = False
    features: int = 0


class AttemptView(msgspec.Struct, frozen=True):
    """One attempt, or one decision not to make one. `next_at`: when it is tried again.

    `locale`: the language that the message was in, where its template has several ("": it has one, or none was made).
    `route`: why this provider, where there was a choice. `law`: the rule of the rulebook behind `rule` ("": none of its
    own), `ruleset`: the version of the rulebook that was asked.
    """

    n: int
    at: str
    outcome: str
    provider: str
    provider_message_id: str
    code: str
    detail: str
    rule: str
    explanation: str
    took_ms: int
    next_at: str | None
    locale: str = ""
    route: RouteView | None = None
    law: str = ""
    ruleset: str = ""


class LeaseView(msgspec.Struct, frozen=True):
    """Where an open delivery stands: `epoch` counts its claims; `provider` is who is being asked at this moment."""

    due_at: str
    epoch: int
    provider: str | None


class TracedDelivery(msgspec.Struct, frozen=True):
    """One delivery with its attempts in order. `lease` is null once it is over."""

    delivery_id: str
    channel: str
    status: str
    attempts: list[AttemptView]
    lease: LeaseView | None
    consent_at_send: ConsentSeen | None


class TraceView(msgspec.Struct, frozen=True):
    """Everything that is known of a notification's way, and why it went so. `decision`: the one at the accept."""

    notification_id: str
    status: str
    user_id: str
    category: str
    traceparent: str
    decision: DecisionView
    deliveries: list[TracedDelivery]
    fallback: FallbackView | None = None


def as_notification(records: Sequence[DeliveryRecord]) -> NotificationView:
    """A notification of its deliveries' rows (at least one)."""
    first = records[0]
    return NotificationView(
        notification_id=format_id(first.notification_id),
        status=_status(records),
        environment=environment_of(is_test=first.is_test),
        user_id=first.user_id,
        category=first.category,
        priority=first.priority,
        template=first.template or None,
        template_version=first.template_version or None,
        journey_id=first.journey_id or None,
        metadata=_metadata(first.metadata),
        created_at=format_time(first.created_ms),
        expires_at=_time(first.expires_ms),
        deliveries=[_delivery(record) for record in records],
        fallback=as_fallback(records),
    )


def as_listed(group: Sequence[ListedDelivery]) -> ListedNotification:
    """One notification of a list, of its rows (at least one)."""
    first = group[0]
    return ListedNotification(
        format_id(first.notification_id),
        environment_of(is_test=first.is_test),
        first.user_id,
        first.category,
        format_time(first.created_ms),
        [
            ListedView(format_id(row.delivery_id), row.channel, row.status, _time(row.sent_ms))
            for row in reversed(group)
        ],
    )


def as_cancelled(records: Sequence[DeliveryRecord], cancelled: Collection[bytes]) -> CancelView:
    """What a cancel did; `cancelled` has the ids of the deliveries that it stopped."""
    stopped = [_listed(record) for record in records if record.delivery_id in cancelled]
    left = [_listed(record) for record in records if record.delivery_id not in cancelled]
    return CancelView(format_id(records[0].notification_id), stopped, left)


def as_trace(records: Sequence[DeliveryRecord]) -> TraceView:
    """The trace of a notification, of its deliveries' rows (at least one)."""
    first = records[0]
    return TraceView(
        notification_id=format_id(first.notification_id),
        status=_status(records),
        user_id=first.user_id,
        category=first.category,
        traceparent=first.traceparent,
        decision=_as_decision(_first_decision(records), first.created_ms),
        deliveries=[_traced(record) for record in records],
        fallback=as_fallback(records),
    )


def _first_decision(records: Sequence[DeliveryRecord]) -> DecisionRecord:
    """Each delivery has the decision that made it; those on further channels came later."""
    return min((_decision(record.decision) for record in records), key=lambda made: made.decided_at)


def _status(records: Sequence[DeliveryRecord]) -> Status:
    return notification_status(cast("Status", record.status) for record in records)


def _time(at_ms: int | None) -> str | None:
    return format_time(at_ms) if at_ms else None


def _delivery(record: DeliveryRecord) -> DeliveryView:
    cost = (
        None if record.provider_cost is None else Decimal(record.provider_cost).quantize(_MICROS).normalize()
    )
    return DeliveryView(
        delivery_id=format_id(record.delivery_id),
        channel=record.channel,
        status=record.status,
        provider=record.provider or record.sending_via or None,
        provider_cost=cost,
        provider_message_id=record.provider_message_id,
        attempts=record.attempts,
        created_at=format_time(record.created_ms),
        sent_at=_time(record.sent_ms),
        delivered_at=_time(record.delivered_ms),
        engaged_at=_time(record.engaged_ms),
        ml_send_time=_time(record.send_ms),
    )


def _listed(record: DeliveryRecord) -> ListedView:
    return ListedView(format_id(record.delivery_id), record.channel, record.status, _time(record.sent_ms))


def _as_decision(record: DecisionRecord, created_ms: int) -> DecisionView:
    decision = record.decision
    return DecisionView(
        decided_at=record.decided_at,
        status=decision.status,
        chosen=[
            ChosenView(
                CHANNELS[choice.channel],
                choice.status,
                format_time(choice.due_ms or created_ms),
                choice.score,
                choice.rule or None,
            )
            for choice in decision.choices
        ],
        reasons=_reasons(decision),
        alternatives=[
            AlternativeView(CHANNELS[channel], format_time(at_ms), score)
            for channel, at_ms, score in decision.alternatives
        ],
        channel_scores=dict(zip(CHANNELS, decision.scores, strict=True)),
        predicted_engagement=decision.engagement,
        confidence=decision.confidence,
        optimal_send_time=_time(decision.optimal_ms),
        model=decision.model,
        propensity=decision.propensity,
        inputs=_inputs(record),
        policy=decision.policy,
        explored=decision.explored,
        candidates=_candidates(decision),
        holdout=names_of_features(decision.holdout),
        ml_fallback=decision.ml_fallback,
        features=record.features,
    )


def _candidates(decision: Decision) -> dict[str, int]:
    if not decision.candidates:
        return {}
    hours = read_candidates(decision.candidates).sum(1).tolist()
    return {channel: count for channel, count in zip(CHANNELS, hours, strict=True) if count}


def _reasons(decision: Decision) -> list[ReasonDetail]:
    return [
        ReasonDetail(
            reason.channel,
            reason.rule,
            "moved" if reason.detail == MOVED else "not taken",
            _explain(reason.rule),
            reason.law or None,
        )
        for reason in decision.reasons
    ]


def _inputs(record: DecisionRecord) -> DecisionInputs:
    granted, denied, suppressed = record.consent
    return DecisionInputs(
        send_time=record.send_time,
        channel_selection=record.selection,
        requested_channels=names_of(record.requested),
        category_class=record.category_class,
        timezone=record.timezone,
        country=record.country,
        card_version=record.card_version,
        consent=_consent_seen(ConsentState(granted, denied, suppressed)),
        messages_of_the_day=dict(zip(("all", *CHANNELS), record.caps_used, strict=False)),
        jurisdictions=list(record.decision.jurisdictions),
        ruleset=record.decision.ruleset,
    )


def _consent_seen(state: ConsentState) -> ConsentSeen:
    return ConsentSeen(
        {category: names_of(mask) for category, mask in state.granted.items()},
        {category: names_of(mask) for category, mask in state.denied.items()},
        names_of(state.suppressed),
    )


def _explain(rule: str) -> str:
    """The rule in a sentence; "" for what is no rule of the decision."""
    return EXPLANATIONS[Rule(rule)] if rule in Rule.__members__.values() else ""


def _traced(record: DeliveryRecord) -> TracedDelivery:
    is_open = record.due_ms is not None and record.lease_epoch is not None
    return TracedDelivery(
        delivery_id=format_id(record.delivery_id),
        channel=record.channel,
        status=record.status,
        attempts=[_attempt(entry) for entry in _attempts(record.attempt_log or b"[]")],
        lease=LeaseView(format_time(record.due_ms or 0), record.lease_epoch or 0, record.sending_via or None)
        if is_open
        else None,
        consent_at_send=_consent_seen(_consent(record.consent_snapshot)) if record.consent_snapshot else None,
    )


def _attempt(entry: AttemptEntry) -> AttemptView:
    return AttemptView(
        n=entry.n,
        at=format_time(entry.at_ms),
        outcome=entry.outcome,
        provider=entry.provider,
        provider_message_id=entry.provider_message_id,
        code=entry.code,
        detail=entry.detail,
        rule=entry.rule,
        explanation=_explain(entry.rule),
        took_ms=entry.took_ms,
        next_at=_time(entry.next_at_ms),
        locale=entry.locale,
        route=view_route(entry.route),
        law=entry.law,
        ruleset=entry.ruleset,
    )
