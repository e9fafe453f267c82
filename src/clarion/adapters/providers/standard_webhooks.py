"""Webhooks whose secret we choose: signed as Standard Webhooks has it.

`webhook-id`, `webhook-timestamp` (seconds since 1970), and `webhook-signature: v1,<base64 of HMAC-SHA256 over
"id.timestamp.body">`, several of them separated by spaces.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final

from clarion.adapters.providers.proof import check_time, refuse
from clarion.adapters.providers.webhooks import WebhookCall

PREFIX: Final = "whsec_"
"""What secrets begin with in Standard Webhooks."""

_TIMESTAMP: Final = re.compile(r"\d{1,12}")


def check_standard(call: WebhookCall) -> str:
    """What a repeat of this call has in common with it. Raises Refused where the call is not signed with our secret."""
    message_id, at = call.headers.get("webhook-id", ""), call.headers.get("webhook-timestamp", "")
    if not message_id or not _TIMESTAMP.fullmatch(at):
        raise refuse("the webhook has no id, or no timestamp")
    check_time(int(at) * 1000, call.now_ms)
    expected = "v1," + _signature(call.secret, message_id, at, call.raw)
    given = call.headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise refuse("the webhook's signature is not this account's")
    return expected


def sign(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The `webhook-signature` of a body, with a secret that begins with PREFIX."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    return "v1," + _signature(key, message_id, str(at_s), body)


def _signature(key: bytes, message_id: str, at: str, body: bytes) -> str:
    text = b"%s.%s.%s" % (message_id.encode(), at.encode(), body)
    return base64.b64encode(hmac.digest(key, text, "sha256")).decode()
