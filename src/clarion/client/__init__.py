"""A small typed client of Clarion's API, for asyncio.

    async with Clarion("https://clarion.example.com", "ck_live_…") as clarion:
        accepted = await clarion.notifications.send(NotificationRequest("ada", "service", "parcel-arrived"))

Every POST carries an `Idempotency-Key`, and is repeated under the same key while the API is away or busy: nothing is
done twice. What the API refuses is raised as one of the errors here. It imports nothing of Clarion but its contracts.
"""

from __future__ import annotations

from clarion.client.api import Clarion
from clarion.client.batching import Batcher
from clarion.client.errors import (
    ApiError,
    Forbidden,
    InvalidRequest,
    ItemRefused,
    NotFound,
    StateConflict,
    Throttled,
    Unauthenticated,
    Unavailable,
)
from clarion.client.model import (
    Broadcast,
    BroadcastPage,
    BroadcastRequest,
    CancelResult,
    Consent,
    ConsentRequest,
    DeadLetter,
    DeadLetterPage,
    Delivery,
    DeviceToken,
    Event,
    EventResult,
    Identity,
    ListedNotification,
    Notification,
    NotificationPage,
    RedriveFilter,
    RedriveRequest,
    RedriveResult,
    Segment,
    SegmentPage,
    User,
    UserResult,
)
from clarion.client.transport import RetryPolicy
from clarion.client.webhooks import WebhookRejected, sign_webhook, verify_webhook
from clarion.contracts.commands import FallbackStep, NotificationRequest, Optimization, Personalization
from clarion.contracts.responses import BatchItem, NotificationAccepted

__all__ = [
    "ApiError",
    "BatchItem",
    "Batcher",
    "Broadcast",
    "BroadcastPage",
    "BroadcastRequest",
    "CancelResult",
    "Clarion",
    "Consent",
    "ConsentRequest",
    "DeadLetter",
    "DeadLetterPage",
    "Delivery",
    "DeviceToken",
    "Event",
    "EventResult",
    "FallbackStep",
    "Forbidden",
    "Identity",
    "InvalidRequest",
    "ItemRefused",
    "ListedNotification",
    "NotFound",
    "Notification",
    "NotificationAccepted",
    "NotificationPage",
    "NotificationRequest",
    "Optimization",
    "Personalization",
    "RedriveFilter",
    "RedriveRequest",
    "RedriveResult",
    "RetryPolicy",
    "Segment",
    "SegmentPage",
    "StateConflict",
    "Throttled",
    "Unauthenticated",
    "Unavailable",
    "User",
    "UserResult",
    "WebhookRejected",
    "sign_webhook",
    "verify_webhook",
]
