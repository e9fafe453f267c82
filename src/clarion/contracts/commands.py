"""What a caller may ask for: the bodies of the public API, one struct from the wire to the queue.

Times are ISO 8601 with an offset (naive ones are refused). Unknown fields are refused with their path.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.contracts.channels import CHANNELS, Channel

Name = Annotated[str, Meta(min_length=1, max_length=200)]
"""A tenant's own identifier: user, template, category."""

AwareTime = Annotated[datetime, Meta(tz=True)]


FALLBACK_STEPS: Final = len(CHANNELS)
"""Most steps of a chain: no channel comes twice."""

FALLBACK_WAIT_S: Final = 86_400


class FallbackStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One further channel of a chain.

    It is taken `after_s` seconds after the message went out on the channels before, unless it was `sent`, `delivered`
    or `engaged` with by then; at once where it failed on all of them.
    """

    channel: Channel
    after_s: Annotated[int, Meta(ge=0, le=FALLBACK_WAIT_S)] = 300
    unless: Literal["sent", "delivered", "engaged"] = "delivered"


Fallback = Annotated[list[FallbackStep], Meta(max_length=FALLBACK_STEPS)]
"""Channels to go on to, in order, where those before do not reach the user."""


class Optimization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the send time and the channels are chosen. `fallback` null: that of the category; empty: none."""

    send_time: Literal["now", "optimal", "scheduled"] = "now"
    scheduled_at: AwareTime | None = None
    channel_selection: Literal["all", "optimal", "specified"] = "optimal"
    channels: list[Channel] = []
    fallback: Fallback | None = None


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
