"""What a caller may ask for: the bodies of the public API, one struct from the wire to the queue.

Times are ISO 8601 with an offset (naive ones are refused). Unknown fields are refused with their path.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from clarion.contracts.channels import Channel

Name = Annotated[str, Meta(min_length=1, max_length=200)]
"""A tenant's own identifier: user, template, category."""

AwareTime = Annotated[datetime, Meta(tz=True)]


class Optimization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the send time and the channels are chosen."""

    send_time: Literal["now", "optimal", "scheduled"] = "now"
    scheduled_at: AwareTime | None = None
    channel_selection: Literal["all", "optimal", "specified"] = "optimal"
    channels: list[Channel] = []


class Personalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the user's profile and context reach the template; `context` wins over the stored context."""

    enabled: bool = True
    context: dict[str, Any] = {}


class NotificationRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/notifications`, and one item of the batch."""

    user_id: Name
    category: Name
    template: Name | None = None
    data: dict[str, Any] = {}
    priority: Annotated[int, Meta(ge=0, le=10)] = 5
    optimization: Optimization = Optimization()
    personalization: Personalization = Personalization()
    journey_id: Name | None = None
    metadata: dict[str, Any] = {}
    expires_at: AwareTime | None = None
