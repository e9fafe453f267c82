"""Push as one channel over several services: whose token a device has, and what several sends of a message came to."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, Literal, TypeAlias

from msgspec.structs import replace

from clarion.audience.model import DeviceToken
from clarion.delivery.model import DeadToken, Outcome, OutcomeKind

PushService: TypeAlias = Literal["fcm", "apns", "webpush"]

NO_DEVICE: Final = "no_device"
"""The `code` of an outcome where an account serves none of a message's devices."""

_APNS_TOKEN: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){32,100}")
"""Apple's tokens are bytes in hexadecimal; Firebase's, also those of its SDK on iOS, contain a colon."""

_RANK: Final[dict[OutcomeKind, int]] = {
    "permanent": 0,
    "throttled": 1,
    "transient": 2,
    "ambiguous": 3,
    "sent": 4,
}


def service_of(device: DeviceToken) -> PushService:
    """The service that gave a device its token; a device of any platform may be registered with Firebase.

    A web subscription is the JSON object of `PushSubscription.toJSON()`.
    """
    if device.token.startswith("{"):
        return "webpush"
    if device.platform == "ios" and _APNS_TOKEN.fullmatch(device.token):
        return "apns"
    return "fcm"


def served(devices: Sequence[DeviceToken], services: Collection[str]) -> list[DeviceToken]:
    """The devices, in order, whose tokens are of one of these services; all of them where none is named."""
    return [device for device in devices if not services or service_of(device) in services]


def merge_outcomes(outcomes: Sequence[Outcome]) -> Outcome:
    """What one message came to that was sent to several devices: `sent` as soon as one of them took it.

    Otherwise what may have arrived counts before what may yet be sent, and that before what never will. Raises
    ValueError for no outcomes.
    """
    best = max(outcomes, key=lambda outcome: _RANK[outcome.kind])
    if len(outcomes) == 1:
        return best
    dead: list[DeadToken] = [token for outcome in outcomes for token in outcome.dead_tokens]
    return replace(best, cost_micros=sum(outcome.cost_micros for outcome in outcomes), dead_tokens=dead)
