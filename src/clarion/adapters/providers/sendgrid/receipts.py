"""SendGrid's signed event webhook.

| event | feedback |
|---|---|
| `processed` | sent |
| `deferred` | deferred |
| `delivered` | delivered |
| `open`, `click` | opened, clicked; by a machine where `sg_machine_open` says so |
| `bounce` | bounced; failed where `type` is `blocked`: the server refused us, not the address |
| `dropped` | failed; bounced for a bounced address; with an unsubscribed for one that complained or unsubscribed |
| `spamreport` | complained |
| `unsubscribe`, `group_unsubscribe` | unsubscribed |
| `group_resubscribe` | resubscribed |

Events without our custom argument are about other mail of the account, and left out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from clarion.adapters.providers.proof import check_time, delivery_id, refuse, with_opt_out
from clarion.adapters.providers.sendgrid.account import read_webhook_key
from clarion.adapters.providers.sendgrid.provider import DELIVERY_ARGUMENT
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

SIGNATURE_HEADER: Final = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER: Final = "x-twilio-email-event-webhook-timestamp"

_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "processed": "sent",
        "deferred": "deferred",
        "delivered": "delivered",
        "open": "opened",
        "click": "clicked",
        "bounce": "bounced",
        "dropped": "failed",
        "spamreport": "complained",
        "unsubscribe": "unsubscribed",
        "group_unsubscribe": "unsubscribed",
        "group_resubscribe": "resubscribed",
    }
)
_OPTED_OUT: Final = frozenset({"Spam Reporting Address", "Unsubscribed Address"})
_BOUNCED: Final = "Bounced Address"
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_CLASS: Final = re.compile(r"[A-Za-z /-]{1,40}")
_SECONDS: Final = re.compile(r"\d{1,12}")
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")


class _Event(msgspec.Struct, rename={"delivery": DELIVERY_ARGUMENT}):
    event: str = ""
    timestamp: float = 0
    email: str = ""
    sg_event_id: str = ""
    delivery: object = None
    type: str = ""
    reason: object = None
    status: object = None
    bounce_classification: object = None
    sg_machine_open: object = None


_decode_events: Final = msgspec.json.Decoder(list[_Event]).decode


async def read_sendgrid(call: WebhookCall, account: ProviderConfig, fetch: Fetch) -> WebhookRead:
    """The events of a call; see `WebhookReader`. A repeated call is told by its signature."""
    del fetch
    signature = call.headers.get(SIGNATURE_HEADER, "")
    signed_at = call.headers.get(TIMESTAMP_HEADER, "")
    _verify(account, signature, signed_at, call.raw)
    check_time(int(signed_at) * 1000, call.now_ms)
    try:
        events = _decode_events(call.raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("the body is no list of events") from error
    return WebhookRead([feedback for event in events for feedback in _feedback(event)], signature)


def _verify(account: ProviderConfig, signature: str, signed_at: str, raw: bytes) -> None:
    key_text = account.settings.get("webhook_key", "")
    if not key_text:
        raise refuse("the account has no settings.webhook_key, by which its webhooks are proven")
    if not signature or not _SECONDS.fullmatch(signed_at):
        raise refuse("the call is not signed")
    try:
        # DER makes two numbers of the signature; a wrong one is caught below, as a wrong key is.
        _key(str(key_text)).verify(
            base64.b64decode(signature, validate=True), signed_at.encode() + raw, ECDSA(SHA256())
        )
    except (InvalidSignature, binascii.Error, ValueError):
        raise refuse("the signature is not SendGrid's") from None


_key: Final = lru_cache(maxsize=256)(read_webhook_key)


def _feedback(event: _Event) -> Sequence[Feedback]:
    kind = _KINDS.get(event.event)
    delivery = delivery_id(event.delivery)
    if kind is None or not delivery or not _ID.fullmatch(event.sg_event_id):
        return ()
    if kind == "bounced" and event.type == "blocked":
        kind = "failed"
    elif event.event == "dropped" and event.reason == _BOUNCED:
        kind = "bounced"
    feedback = Feedback(
        event_id=event.sg_event_id,
        kind=kind,
        at_ms=int(event.timestamp * 1000),
        delivery_id=delivery,
        code=_plain(event.status, _STATUS),
        detail=_detail(event),
        is_machine=event.sg_machine_open is True,
        address=event.email,
    )
    is_refused = event.event == "dropped" and event.reason in _OPTED_OUT
    return with_opt_out(feedback) if is_refused else [feedback]


def _detail(event: _Event) -> str:
    """The reason of a drop is one of a few; that of a bounce quotes the server, and so the address."""
    if event.event == "dropped":
        return _plain(event.reason, _CLASS)
    return _plain(event.bounce_classification, _CLASS)


def _plain(value: object, allowed: re.Pattern[str]) -> str:
    return value if isinstance(value, str) and allowed.fullmatch(value) else ""
