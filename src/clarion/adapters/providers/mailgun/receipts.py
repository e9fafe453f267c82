"""Mailgun's webhooks.

| event | feedback |
|---|---|
| `accepted` | sent |
| `delivered`, `opened`, `clicked` | the same; by a machine where `client-info.bot` says so |
| `failed`, severity `temporary` | deferred |
| `failed`, severity `permanent` | bounced; failed where Mailgun gave up by itself (`old`, `espblock`) |
| the same, because of an unsubscribe or a complaint | failed and unsubscribed |
| `rejected` | failed |
| `complained`, `unsubscribed` | the same |

**The signature is over a time and a token, not over the body.** It proves that Mailgun called somebody at that time, so
each token is good once; who else might have seen it is kept out by TLS and by the address, which nobody can guess.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from clarion.adapters.providers.mailgun.provider import DELIVERY_VARIABLE
from clarion.adapters.providers.proof import (
    check_same,
    check_time,
    delivery_id,
    refuse,
    secret_of,
    with_opt_out,
)
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "accepted": "sent",
        "delivered": "delivered",
        "opened": "opened",
        "clicked": "clicked",
        "failed": "bounced",
        "rejected": "failed",
        "complained": "complained",
        "unsubscribed": "unsubscribed",
    }
)
_OPTED_OUT: Final = frozenset({"suppress-unsubscribe", "suppress-complaint"})
_GAVE_UP: Final = frozenset({"old", "espblock"})
_TEMPORARY: Final = "temporary"
_SECONDS: Final = re.compile(r"\d{1,12}")
_TOKEN: Final = re.compile(r"[0-9a-zA-Z]{20,100}")
_CLASS: Final = re.compile(r"[a-z-]{1,40}")
_STATUS: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_ID: Final = re.compile(r"[\x21-\x7e]{1,200}")


class _Signature(msgspec.Struct):
    timestamp: str
    token: str
    signature: str


class _Status(msgspec.Struct, rename="kebab"):
    enhanced_code: object = None


class _Client(msgspec.Struct):
    bot: object = None


class _Variables(msgspec.Struct, rename={"delivery": DELIVERY_VARIABLE}):
    delivery: object = None


class _Event(msgspec.Struct, rename="kebab"):
    event: str = ""
    id: str = ""
    timestamp: float = 0
    severity: str = ""
    reason: str = ""
    recipient: str = ""
    user_variables: _Variables = msgspec.field(default_factory=_Variables)
    delivery_status: _Status = msgspec.field(default_factory=_Status)
    client_info: _Client = msgspec.field(default_factory=_Client)


class _Call(msgspec.Struct, rename="kebab"):
    signature: _Signature
    event_data: msgspec.Raw


async def read_mailgun(call: WebhookCall, account: ProviderConfig, fetch: Fetch) -> WebhookRead:
    """The event of a call; see `WebhookReader`. A repeated call is told by its token."""
    del fetch
    try:
        body = msgspec.json.decode(call.raw, type=_Call)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid("the body is no webhook of Mailgun") from error
    signature = body.signature
    if not _SECONDS.fullmatch(signature.timestamp) or not _TOKEN.fullmatch(signature.token):
        raise refuse("the call is not signed")
    key = secret_of(account, "webhook_key").encode()
    expected = hmac.digest(key, f"{signature.timestamp}{signature.token}".encode(), "sha256").hex()
    check_same(expected, signature.signature, "the signature is not Mailgun's")
    check_time(int(signature.timestamp) * 1000, call.now_ms)
    try:
        event = msgspec.json.decode(body.event_data, type=_Event)
    except msgspec.DecodeError as error:
        raise Invalid("the body has no event of Mailgun") from error
    return WebhookRead(_feedback(event), signature.token)


def _feedback(event: _Event) -> Sequence[Feedback]:
    kind = _kind_of(event)
    delivery = delivery_id(event.user_variables.delivery)
    if kind is None or not delivery or not _ID.fullmatch(event.id):
        return ()
    enhanced = event.delivery_status.enhanced_code
    feedback = Feedback(
        event_id=event.id,
        kind=kind,
        at_ms=int(event.timestamp * 1000),
        delivery_id=delivery,
        code=enhanced if isinstance(enhanced, str) and _STATUS.fullmatch(enhanced) else "",
        detail=event.reason if _CLASS.fullmatch(event.reason) else "",
        is_machine=bool(event.client_info.bot),
        address=event.recipient,
    )
    return with_opt_out(feedback) if event.reason in _OPTED_OUT else [feedback]


def _kind_of(event: _Event) -> FeedbackKind | None:
    if event.event != "failed":
        return _KINDS.get(event.event)
    if event.severity == _TEMPORARY:
        return "deferred"
    return "failed" if event.reason in _OPTED_OUT | _GAVE_UP else "bounced"
