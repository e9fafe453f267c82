"""Webhook signatures, as Standard Webhooks has them (https://www.standardwebhooks.com). Pure.

`webhook-signature` is one or several, separated by spaces, of `v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "whsec_"
TOLERANCE_S: Final = 300
"""How far a timestamp may be off: within it, `webhook-id` tells a repeat from a new message."""


class WebhookRejected(Exception):  # noqa: N818  it says what happened
    """The message is not from who has the secret, or not of these minutes. Answer it with 401."""


def sign_webhook(secret: str, message_id: str, at_s: int, body: bytes) -> str:
    """The `webhook-signature` of a body at `at_s` (Unix seconds). Raises ValueError on a secret that is none."""
    return "v1," + _signature(_key(secret), message_id, str(at_s), body)


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The message's id, once its signature is checked. `body` is what arrived, byte by byte; `now_s` Unix seconds.

    Header names are taken in any case. Raises WebhookRejected, and ValueError on a secret that is none. Messages can
    come twice: keep the ids of the last TOLERANCE_S seconds if that matters.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, at = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not message_id or not at.isascii() or not at.isdecimal() or len(at) > 12:  # noqa: PLR2004  the year 33658
        raise WebhookRejected("the webhook's id or timestamp is missing")
    if abs(int(at) - now_s) > TOLERANCE_S:
        raise WebhookRejected("the webhook's timestamp is not of these minutes")
    expected = "v1," + _signature(_key(secret), message_id, at, body)
    signatures = given.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in signatures):
        raise WebhookRejected("the webhook's signature is not that of this secret")
    return message_id


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError(f"a webhook secret is {PREFIX} and base64") from error


def _signature(key: bytes, message_id: str, at: str, body: bytes) -> str:
    signed = f"{message_id}.{at}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
