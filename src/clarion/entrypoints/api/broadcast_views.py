"""Broadcasts as the API shows them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.broadcasts import BroadcastRecord, Reasons
from clarion.kernel.ids import format_id
from clarion.orchestration.broadcasts import Balance
from clarion.orchestration.fan_out import MICROS, Forecast
from clarion.orchestration.rows import format_time


class BroadcastAccepted(msgspec.Struct, frozen=True):
    """It is durable, and on its way: its audience is being collected."""

    broadcast_id: str
    status: str


class BalanceView(msgspec.Struct, frozen=True):
    """The books: `audience` = `sent` + `blocked` + `failed` + `unknown` + `pending`, each counted, as of one instant.

    `detail` has the statuses behind them. `refused`: why members got no notification. `blocked_by`: whom which rule
    left without a channel when they were decided about; a member counts for each rule that took one from her.
    """

    audience: int
    sent: int
    blocked: int
    failed: int
    unknown: int
    pending: int
    detail: dict[str, int]
    refused: dict[str, int]
    blocked_by: dict[str, int]


class ChannelForecast(msgspec.Struct, frozen=True):
    """Messages on a channel, and what they would cost."""

    messages: int
    cost: float


class ForecastView(msgspec.Struct, frozen=True):
    """A dry run, as far as it is: `examined` of `audience` members.

    `would_send` members would get something, `later` of them not at once. `would_block`: by rule, whom it would leave
    without a channel. `cost`: expected, at the providers' prices and weights.
    """

    examined: int
    audience: int
    would_send: int
    later: int
    would_block: int
    would_refuse: int
    blocked_by: dict[str, int]
    refused: dict[str, int]
    channels: dict[str, ChannelForecast]
    cost: float


class BroadcastLine(msgspec.Struct, frozen=True):
    """A broadcast. `status`: collecting, scheduled, sending, paused, cancelling, cancelled, completed or failed.

    `audience`: members so far, while it is collecting. `to`: `all`, `list`, or the segment's name.
    """

    broadcast_id: str
    name: str
    status: str
    dry_run: bool
    environment: str
    to: str
    category: str
    template: str | None
    priority: int
    rate_per_s: float | None
    send_at: str | None
    next_at: str | None
    audience: int
    failure: str
    created_at: str
    ended_at: str | None


class BroadcastView(BroadcastLine, frozen=True):
    """A broadcast with its books; a dry run with what it would come to."""

    balance: BalanceView | None = None
    forecast: ForecastView | None = None


class BroadcastList(msgspec.Struct, frozen=True):
    """Broadcasts, newest first. `next_cursor` asks for those before them."""

    broadcasts: list[BroadcastLine]
    next_cursor: str | None


class BroadcastParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page."""

    cursor: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


def status_of(record: BroadcastRecord, now_ms: int) -> str:
    """What a broadcast is doing, in a word."""
    if record.stage not in {"collecting", "sending"}:
        return record.stage
    if record.held:
        return "paused"
    is_future = record.next_due_ms is not None and record.next_due_ms > now_ms
    return "scheduled" if record.stage == "sending" and is_future and not record.rehearsal else record.stage


def as_line(record: BroadcastRecord, now_ms: int) -> BroadcastLine:
    """A broadcast without its books."""
    return BroadcastLine(**_fields(record, now_ms))


def as_view(record: BroadcastRecord, books: Balance, reasons: Reasons, now_ms: int) -> BroadcastView:
    """A broadcast with its books."""
    view = BalanceView(
        books.audience,
        books.sent,
        books.blocked,
        books.failed,
        books.unknown,
        books.pending,
        books.detail,
        refused=reasons.refused,
        blocked_by=reasons.rules,
    )
    return BroadcastView(**_fields(record, now_ms), balance=view)


def as_rehearsal(record: BroadcastRecord, forecast: Forecast, reasons: Reasons, now_ms: int) -> BroadcastView:
    """A dry run with what it would come to."""
    cost = forecast.cost_micros
    view = ForecastView(
        examined=forecast.members,
        audience=record.audience,
        would_send=forecast.reached,
        later=forecast.later,
        would_block=forecast.blocked,
        would_refuse=sum(reasons.refused.values()),
        blocked_by=reasons.rules,
        refused=reasons.refused,
        channels={
            channel: ChannelForecast(messages, cost.get(channel, 0) / MICROS)
            for channel, messages in sorted(forecast.messages.items())
        },
        cost=sum(cost.values()) / MICROS,
    )
    return BroadcastView(**_fields(record, now_ms), forecast=view)


def _fields(record: BroadcastRecord, now_ms: int) -> dict[str, Any]:
    source, timing, message = record.source, record.timing, record.message
    local = None if timing.local is None else timing.local.isoformat()
    return {
        "broadcast_id": format_id(record.broadcast_id),
        "name": record.name,
        "status": status_of(record, now_ms),
        "dry_run": record.rehearsal,
        "environment": record.environment,
        "to": source.segment.name if source.segment is not None else source.kind,
        "category": message.category,
        "template": message.template,
        "priority": message.priority,
        "rate_per_s": record.rate_per_s or None,
        "send_at": local or format_time(timing.at_ms),
        "next_at": None if record.next_due_ms is None else format_time(record.next_due_ms),
        "audience": record.audience,
        "failure": record.failure,
        "created_at": format_time(record.created_ms),
        "ended_at": None if record.ended_ms is None else format_time(record.ended_ms),
    }


EXAMPLE: Final[dict[str, Any]] = {
    "name": "December offers",
    "audience": "all",
    "category": "marketing",
    "data": {"subject": "Offers of December", "body": "Twelve lamps for the price of ten."},
    "rate_per_s": 500,
}
"""A body of `POST /api/v1/broadcasts`."""
