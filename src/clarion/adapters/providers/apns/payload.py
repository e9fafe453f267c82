"""A message as Apple wants it."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from clarion.adapters.providers.base import Unsendable
from clarion.delivery.model import Message

MAX_BYTES: Final = 4096
LOW_PRIORITY: Final = 7
"""From here on a message may wait until the device is awake anyhow."""

_encode: Final = msgspec.json.Encoder().encode


def payload_of(message: Message, sound: str) -> bytes:
    """The body of a request. Raises Unsendable. `data` stands beside `aps`, as apps read it."""
    if "aps" in message.data:
        raise Unsendable("`data.aps` is a name that Apple keeps for itself", "reserved_data")
    alert = {name: text for name, text in (("title", message.title), ("body", message.body)) if text}
    aps: dict[str, Any] = {"alert": alert}
    if sound:
        aps["sound"] = sound
    payload = _encode({"aps": aps, **message.data})
    if len(payload) > MAX_BYTES:
        raise Unsendable(f"the message has {len(payload)} bytes; Apple takes {MAX_BYTES}", "too_large")
    return payload


def headers_of(message: Message, token: str) -> dict[str, str]:
    """What a request says of its message, but for the account's part."""
    headers = {
        "apns-push-type": "alert",
        "apns-id": apns_id(message, token),
        "apns-priority": "5" if message.priority >= LOW_PRIORITY else "10",
    }
    if message.expires_ms:
        headers["apns-expiration"] = str(message.expires_ms // 1000)
    if message.collapse_key:
        headers["apns-collapse-id"] = message.collapse_key
    return headers


def apns_id(message: Message, token: str) -> str:
    """The delivery's id; for a second device one that follows from both. The same for every attempt."""
    delivery = uuid.UUID(bytes=message.delivery_id)
    if message.devices[0].token == token:
        return str(delivery)
    return str(uuid.uuid5(delivery, token))
