"""A message as Firebase wants it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clarion.adapters.providers.base import Unsendable
from clarion.adapters.providers.push.data import text_of, topic_of
from clarion.delivery.model import Message

MAX_BYTES: Final = 4096
"""Of notification and data together, as JSON."""
MAX_TTL_S: Final = 2_419_200
LOW_PRIORITY: Final = 7
"""From here on a message may wait until the device is awake anyhow."""

_RESERVED: Final = frozenset({"from", "message_type"})
_RESERVED_PREFIXES: Final = ("google.", "gcm.")
_encode: Final = msgspec.json.Encoder().encode


def body_for(message: Message, now_ms: int) -> dict[str, Any]:
    """What a message says on every device, but for the token. Raises Unsendable.

    `collapse_key` becomes Android's tag and key, APNs's collapse id and Web Push's topic: each replaces what is shown.
    """
    notification = {name: text for name, text in (("title", message.title), ("body", message.body)) if text}
    data = {name: text_of(value) for name, value in message.data.items()}
    for name in data:
        if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
            raise Unsendable(f"`data.{name}` is a name that Firebase keeps for itself", "reserved_data")
    size = len(_encode({"notification": notification, "data": data}))
    if size > MAX_BYTES:
        raise Unsendable(f"the message has {size} bytes; Firebase takes {MAX_BYTES}", "too_large")
    is_low = message.priority >= LOW_PRIORITY
    android: dict[str, Any] = {"priority": "NORMAL" if is_low else "HIGH"}
    apns: dict[str, str] = {"apns-priority": "5" if is_low else "10"}
    web: dict[str, str] = {"Urgency": "low" if is_low else "high"}
    if message.expires_ms:
        ttl_s = min(MAX_TTL_S, max(0, (message.expires_ms - now_ms) // 1000))
        android["ttl"] = f"{ttl_s}s"
        apns["apns-expiration"] = str(message.expires_ms // 1000)
        web["TTL"] = str(ttl_s)
    if message.collapse_key:
        android |= {"collapseKey": message.collapse_key, "notification": {"tag": message.collapse_key}}
        apns["apns-collapse-id"] = message.collapse_key
        web["Topic"] = topic_of(message.collapse_key)
    body: dict[str, Any] = {
        "notification": notification,
        "android": android,
        "apns": {"headers": apns},
        "webpush": {"headers": web},
    }
    return body | ({"data": data} if data else {})
