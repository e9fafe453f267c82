"""What Apple's reasons mean. The table is Apple's "Handling notification responses from APNs"."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.statuses import peek_body
from clarion.delivery.model import AUTH_CODE, OutcomeKind

EXPIRED_TOKEN: Final = "ExpiredProviderToken"  # noqa: S105  a reason's name
GONE: Final = frozenset({"Unregistered", "ExpiredToken"})
GONE_UNLESS_MISCONFIGURED: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic"})

_OF_THE_ACCOUNT: Final = (
    EXPIRED_TOKEN,
    "InvalidProviderToken",
    "MissingProviderToken",
    "BadCertificate",
    "BadCertificateEnvironment",
    "BadEnvironmentKeyIdInToken",
    "UnrelatedKeyIdInToken",
    "Forbidden",
    "BadTopic",
    "MissingTopic",
    "TopicDisallowed",
)

MEANINGS: Final[dict[str, tuple[OutcomeKind, str]]] = {
    **dict.fromkeys(_OF_THE_ACCOUNT, ("transient", AUTH_CODE)),
    # One device has had too many: the account is well.
    "TooManyRequests": ("throttled", "rcpt_too_many_requests"),
    "TooManyProviderTokenUpdates": ("throttled", "too_many_tokens"),
    "IdleTimeout": ("transient", "idle_timeout"),
    "InternalServerError": ("transient", "internal"),
    "ServiceUnavailable": ("transient", "unavailable"),
    "Shutdown": ("transient", "shutdown"),
    "PayloadTooLarge": ("permanent", "too_large"),
    "PayloadEmpty": ("permanent", "invalid_argument"),
}
"""Reasons that are not about a device. Others follow from the status: nearly all of 400, permanent."""

PAUSES_S: Final = {"TooManyProviderTokenUpdates": 20 * 60.0}
"""What to wait where Apple says it in its manual only."""


class Refusal(msgspec.Struct, frozen=True):
    """The body of a reply that is no success. `timestamp`: with 410, since when the token is dead (UTC ms)."""

    reason: str = ""
    timestamp: int = 0


def read_refusal(reply: HttpReply) -> Refusal:
    """The refusal in a reply's body; one without reason where it is none of Apple's."""
    return peek_body(reply, Refusal) or Refusal()
