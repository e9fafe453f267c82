"""What the API takes and gives, as far as this client knows it.

Answers may have fields that are not here: later releases add some, and they are ignored. Requests are written without
the fields that were not set. Times in answers are ISO 8601 UTC, as text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from clarion.contracts.channels import Channel
from clarion.contracts.commands import Optimization, Personalization


class Delivery(msgspec.Struct, frozen=True):
    """One channel of a notification. The cost is in currency units."""

    delivery_id: str
    channel: str
    status: str
    provider: str | None = None
    provider_cost: float | None = None
    provider_message_id: str | None = None
    attempts: int = 0
    created_at: str = ""
    sent_at: str | None = None
    delivered_at: str | None = None
    engaged_at: str | None = None
    ml_send_time: str | None = None


class Notification(msgspec.Struct, frozen=True):
    """A notification: its status is that of its most advanced delivery."""

    notification_id: str
    status: str
    user_id: str
    category: str
    deliveries: list[Delivery]
    priority: int = 5
    template: str | None = None
    template_version: int | None = None
    journey_id: str | None = None
    metadata: dict[str, Any] = {}
    created_at: str = ""
    expires_at: str | None = None


class ListedDelivery(msgspec.Struct, frozen=True):
    """A delivery as lists have it."""

    delivery_id: str
    channel: str
    status: str
    sent_at: str | None = None


class ListedNotification(msgspec.Struct, frozen=True):
    """A notification as lists have it."""

    notification_id: str
    category: str
    created_at: str
    deliveries: list[ListedDelivery]
    user_id: str | None = None


class NotificationPage(msgspec.Struct, frozen=True):
    """A page, newest first. `next_cursor` None: the last one."""

    notifications: list[ListedNotification]
    next_cursor: str | None = None


class CancelResult(msgspec.Struct, frozen=True):
    """What was cancelled, and what was left because somebody had begun to send it or it was over."""

    notification_id: str
    cancelled: list[ListedDelivery]
    left: list[ListedDelivery]


class DeviceToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where push messages go."""

    platform: str
    token: str


class User(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A user's profile. Writing one replaces all of it: what is not set is removed.

    `user_id` is set in answers and in batches. `preferences` and `quiet_hours` as the API's page on users has them.
    """

    user_id: str = ""
    email: str | None = None
    phone: str | None = None
    device_tokens: list[DeviceToken] = []
    timezone: str | None = None
    language: str | None = None
    country: str | None = None
    region: str | None = None
    preferred_channel: Channel | None = None
    attributes: dict[str, Any] = {}
    preferences: dict[str, Any] = {}
    quiet_hours: dict[str, Any] | None = None


class UserResult(msgspec.Struct, frozen=True):
    """What became of one user of a batch: `error` is None where she was written."""

    index: int
    user_id: str | None = None
    error: dict[str, Any] | None = None


class UserResults(msgspec.Struct, frozen=True):
    """What became of a batch of users, in order."""

    results: list[UserResult]


class ConsentRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A user's word: on a channel and a category, each of which may be `all`."""

    user_id: str
    channel: Literal["email", "push", "sms", "all"]
    category: str
    consented: bool
    source: str
    timestamp: datetime | None = None
    ip_address: str = ""
    user_agent: str = ""
    url: str = ""
    wording: str = ""
    evidence: dict[str, Any] = {}


class Consent(msgspec.Struct, frozen=True):
    """A user's latest words, as the API shows them."""

    user_id: str
    consents: list[dict[str, Any]]
    gdpr_status: str
    ccpa_status: str


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that a user did. `timestamp` None: now."""

    user_id: str
    event: str
    properties: dict[str, Any] = {}
    timestamp: datetime | None = None


class EventResult(msgspec.Struct, frozen=True):
    """What became of one event of a batch: `error` is None where it was recorded."""

    index: int
    event_id: str | None = None
    error: dict[str, Any] | None = None


class EventResults(msgspec.Struct, frozen=True):
    """What became of a batch of events, in order."""

    results: list[EventResult]


class Segment(msgspec.Struct, frozen=True):
    """Users who belong together, by an expression. `members` is as of `counted_at`; None: not counted yet."""

    name: str
    expression: str
    description: str
    version: int
    members: int | None = None
    counted_at: str | None = None
    snapshot_at: str | None = None


class SegmentPage(msgspec.Struct, frozen=True):
    """A page of segments, by name."""

    segments: list[Segment]
    next_cursor: str | None = None


class BroadcastRequest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One message to many: to a `segment`, to `user_ids`, or to an `audience`. With `dry_run` nothing is sent."""

    category: str
    segment: str | None = None
    user_ids: list[str] | None = None
    audience: Literal["all"] | None = None
    template: str | None = None
    data: dict[str, Any] = {}
    priority: int = 5
    optimization: Optimization = Optimization()
    personalization: Personalization = Personalization()
    metadata: dict[str, Any] = {}
    expires_at: datetime | None = None
    send_at: str | None = None
    rate_per_s: float | None = None
    name: str = ""
    dry_run: bool = False


class BroadcastStarted(msgspec.Struct, frozen=True):
    """A broadcast that was accepted."""

    broadcast_id: str
    status: str


class Broadcast(msgspec.Struct, frozen=True):
    """A broadcast. `balance` adds up to `audience` at every moment; `forecast` is what a dry run found."""

    broadcast_id: str
    status: str
    category: str
    audience: int
    name: str = ""
    dry_run: bool = False
    template: str | None = None
    created_at: str = ""
    ended_at: str | None = None
    failure: str = ""
    balance: dict[str, Any] | None = None
    forecast: dict[str, Any] | None = None


class BroadcastPage(msgspec.Struct, frozen=True):
    """A page of broadcasts, newest first."""

    broadcasts: list[Broadcast]
    next_cursor: str | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """A delivery that was given up because of Clarion itself. `reason`: `crashed_workers` or `deliveries`."""

    delivery_id: str
    notification_id: str
    user_id: str
    category: str
    channel: str
    status: str
    reason: str
    last_error: str
    died_at: str
    environment: str = "live"
    crashes: int = 0
    deliveries: int = 0
    redrives: int = 0
    redriven_at: str | None = None


class DeadLetterPage(msgspec.Struct, frozen=True):
    """A page, oldest first."""

    dead_letters: list[DeadLetter]
    next_cursor: str | None = None


class RedriveFilter(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which dead letters; all, where nothing is set."""

    reason: Literal["crashed_workers", "deliveries"] | None = None
    channel: Channel | None = None
    category: str | None = None
    died_before: datetime | None = None


class RedriveRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What to open anew, and how many a second. Either `ids` of deliveries or `filter`."""

    ids: list[str] | None = None
    filter: RedriveFilter | None = None
    rate_per_s: float = 100.0
    limit: int = 10_000


class LeftLetter(msgspec.Struct, frozen=True):
    """A letter that was named and not redriven, and why."""

    delivery_id: str
    reason: str


class RedriveResult(msgspec.Struct, frozen=True):
    """What became of a redrive. `remaining`: how many of the filter a further call would open."""

    redriven: int
    left: list[LeftLetter]
    remaining: int
    first_due_at: str | None = None
    last_due_at: str | None = None


class Identity(msgspec.Struct, frozen=True):
    """Whose key it is."""

    tenant_id: str
    tenant: str
    key_id: str
    environment: str
    scopes: list[str]
