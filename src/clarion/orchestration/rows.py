"""From a decision to what is written and what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from clarion.compliance.rules import EXPLANATIONS
from clarion.contracts.channels import CHANNELS, NO_CHANNEL
from clarion.contracts.events import NotificationEvent, derive_event_id, name_run
from clarion.contracts.responses import BatchItem, ItemError, NotificationAccepted, PredictionView, ReasonView
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.intelligence.features import LAYOUT
from clarion.kernel.errors import ClarionError, Invalid, Unknown
from clarion.kernel.ids import format_id
from clarion.orchestration.chains import first_look
from clarion.orchestration.draft import Checked
from clarion.orchestration.model import Candidate, Chain, ChannelChoice, Decision, Row

_encode: Final = msgspec.json.Encoder().encode
_SENTENCES: Final[dict[str, str]] = {rule.value: sentence for rule, sentence in EXPLANATIONS.items()}
_EMPTY: Final = b"{}"
_PERSONALIZED: Final = b'{"enabled":true,"context":{}}'


class DecisionRecord(msgspec.Struct, frozen=True):
    """What is kept of a decision: itself, and the inputs that it was made on. Holds no PII.

    `features`: the layout of the records that its model read (0: before there were any).
    """

    decided_at: str
    decision: Decision
    card_version: int
    timezone: str
    country: str
    consent: tuple[dict[str, int], dict[str, int], int]
    caps_used: tuple[int, ...]
    selection: str
    send_time: str
    requested: int
    category_class: str
    features: int = 0


class Decided(msgspec.Struct, frozen=True):
    """A checked request with its decision and the id that it got."""

    checked: Checked
    decision: Decision
    notification_id: bytes
    tenant_id: bytes
    traceparent: str
    created_ms: int
    is_test: bool = False


@lru_cache(maxsize=1024)
def format_time(ms: int) -> str:
    """ISO 8601 UTC of milliseconds."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record_decision(decision: Decision, candidate: Candidate, at_ms: int) -> bytes:
    """What is kept of a decision that was made at `at_ms` (UTC ms), as UTF-8 JSON."""
    draft, card = candidate.draft, candidate.card
    consent = card.consent
    return _encode(
        DecisionRecord(
            decided_at=format_time(at_ms),
            decision=decision,
            card_version=card.version,
            timezone=card.timezone or draft.fallback_timezone,
            country=card.country,
            consent=(consent.granted, consent.denied, consent.suppressed),
            caps_used=draft.caps_used,
            selection=draft.selection,
            send_time=draft.send_time,
            requested=draft.requested,
            category_class=draft.category.class_,
            features=LAYOUT,
        )
    )


def build_rows(decided: Decided) -> list[Row]:
    """The rows of one decision: one a chosen channel, or a single one with channel `none` where all is blocked."""
    checked = decided.checked
    record = record_decision(decided.decision, Candidate(checked.draft, checked.card), decided.created_ms)
    rows = [_build_row(decided, choice, record) for choice in decided.decision.choices or (None,)]
    if checked.draft.fallback:
        rows[0] = msgspec.structs.replace(rows[0], chain=_build_chain(decided, rows))
    return rows


def _build_chain(decided: Decided, rows: Sequence[Row]) -> Chain:
    steps = decided.checked.draft.fallback
    planned = [row.send_ms for row in rows if row.open]
    return Chain(
        decided.notification_id,
        decided.tenant_id,
        decided.created_ms,
        _encode(steps),
        first_look(steps, planned, decided.created_ms),
    )


def _build_row(decided: Decided, choice: ChannelChoice | None, record: bytes) -> Row:
    checked = decided.checked
    request, draft = checked.request, checked.draft
    personalization = request.personalization
    plain = personalization.enabled and not personalization.context
    ident, created_ms = decided.notification_id, decided.created_ms
    return Row(
        delivery_id=delivery_id_for(ident, choice.channel if choice else None),
        notification_id=ident,
        tenant_id=decided.tenant_id,
        user_id=checked.card.user_id,
        created_ms=created_ms,
        category=draft.category.name,
        channel=CHANNELS[choice.channel] if choice else NO_CHANNEL,
        priority=draft.priority,
        status=choice.status if choice else "blocked",
        template=checked.template.name,
        template_version=checked.template.version,
        payload=_encode(request.data) if request.data else _EMPTY,
        personalization=_PERSONALIZED if plain else _encode(personalization),
        metadata=_encode(request.metadata) if request.metadata else _EMPTY,
        decision=record,
        journey_id=request.journey_id or "",
        traceparent=decided.traceparent,
        send_ms=(choice.due_ms if choice else 0) or created_ms,
        score=choice.score if choice else 0.0,
        expires_ms=draft.expires_ms,
        open=choice is not None,
        is_test=decided.is_test,
    )


def build_events(rows: Sequence[Row], decided: Decided) -> list[NotificationEvent]:
    """One `accepted` or `blocked` event a row."""
    return [
        NotificationEvent(
            event_id=derive_event_id(row.delivery_id, "accepted" if row.open else "blocked"),
            type="accepted" if row.open else "blocked",
            at_ms=row.created_ms,
            tenant_id=row.tenant_id,
            notification_id=row.notification_id,
            delivery_id=row.delivery_id,
            user_id=row.user_id,
            category=row.category,
            channel=row.channel,
            detail="" if row.open else ",".join(sorted({reason.rule for reason in decided.decision.reasons})),
            traceparent=row.traceparent,
            is_test=row.is_test,
            journey_id=name_run(row.journey_id),
        )
        for row in rows
    ]


def build_work(rows: Sequence[Row]) -> list[WorkItem]:
    """The queue items of the rows that wait; `due_ms` 0 where the row is due at its creation."""
    return [
        WorkItem(
            row.delivery_id,
            row.tenant_id,
            row.channel,
            row.priority,
            row.send_ms if row.send_ms > row.created_ms else 0,
        )
        for row in rows
        if row.open
    ]


def build_answer(decided: Decided) -> NotificationAccepted:
    """The public answer to one accepted request."""
    return NotificationAccepted(*_answer_fields(decided))


def build_item(index: int, result: Decided | ClarionError) -> BatchItem:
    """One entry of a batch's answer."""
    if isinstance(result, ClarionError):
        return BatchItem(index, error=describe_error(result))
    return BatchItem(index, *_answer_fields(result))


def _answer_fields(decided: Decided) -> tuple[str, str, list[str], PredictionView, list[ReasonView]]:
    """What `NotificationAccepted` and `BatchItem` have in common, in their order."""
    decision = decided.decision
    return (
        format_id(decided.notification_id),
        decision.status,
        [CHANNELS[choice.channel] for choice in decision.choices],
        PredictionView(
            optimal_send_time=format_time(decision.optimal_ms) if decision.optimal_ms else None,
            channel_scores=dict(zip(CHANNELS, decision.scores, strict=True)),
            predicted_engagement=decision.engagement,
            confidence=decision.confidence,
        ),
        [_view_reason(reason.channel, reason.rule) for reason in decision.reasons],
    )


@lru_cache(maxsize=256)
def _view_reason(channel: str, rule: str) -> ReasonView:
    return ReasonView(channel, rule, _SENTENCES[rule])


def describe_error(error: ClarionError) -> ItemError:
    """An item's error as the answer shows it."""
    kind = "unknown" if isinstance(error, Unknown) else "invalid" if isinstance(error, Invalid) else "refused"
    return ItemError(kind, error.detail, error.path if isinstance(error, Invalid) else "")
