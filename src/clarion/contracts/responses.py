"""What the public API answers. Additive only."""

from __future__ import annotations

import msgspec


class ReasonView(msgspec.Struct, frozen=True):
    """Why a channel was not taken or was moved; `rule` is one of the documented rule ids."""

    channel: str
    rule: str
    detail: str


class PredictionView(msgspec.Struct, frozen=True):
    """What the models said. Times are ISO 8601 UTC; scores and confidence lie in 0..1."""

    optimal_send_time: str | None
    channel_scores: dict[str, float]
    predicted_engagement: float
    confidence: float


class NotificationAccepted(msgspec.Struct, frozen=True):
    """Answer to an accepted notification: it is durable, and this is what will happen to it."""

    notification_id: str
    status: str
    channels: list[str]
    ml_predictions: PredictionView
    reasons: list[ReasonView]


class ItemError(msgspec.Struct, frozen=True):
    """Why one item of a batch was not accepted. `path` is relative to the item."""

    type: str
    detail: str
    path: str


class BatchItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item of a batch's answer: the fields of `NotificationAccepted`, or `error`."""

    index: int
    notification_id: str | None = None
    status: str | None = None
    channels: list[str] | None = None
    ml_predictions: PredictionView | None = None
    reasons: list[ReasonView] | None = None
    error: ItemError | None = None


class BatchAccepted(msgspec.Struct, frozen=True):
    """Answer to a batch, one entry per item in order."""

    results: list[BatchItem]
