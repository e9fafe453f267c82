"""Plivo's message callbacks: who calls, and what is said.

V3 signs the url, its query and the form. V2 signs the url without its query and a nonce alone: it proves who calls, not
what is said. Callbacks of either kind are taken once by nonce, and V2 is read only where no V3 signature came along.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from clarion.adapters.providers.plivo.inbound import read_inbound
from clarion.adapters.providers.proof import refuse, with_opt_out
from clarion.adapters.providers.sms.webhook import (
    fields_of,
    number_from,
    price_micros,
    read_form,
    secrets_of,
    text_field,
    time_of,
)
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.tenancy.config import ProviderConfig

_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "sent": "sent",
        "delivered": "delivered",
        "read": "opened",
        "undelivered": "failed",
        "failed": "failed",
        "rejected": "failed",
    }
)
"""`queued` says what the reply said."""

_DEAD: Final = frozenset({"50", "70"})
"""No number for text messages; permanently unavailable."""

_OPTED_OUT: Final = "200"


async def read_plivo(call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
    """The status that Plivo reports. `WebhookReader`."""
    del fetch
    nonce = _check(call, secrets_of(account, "auth_token"))
    fields = fields_of(call)
    if "Text" in fields and "Status" not in fields:
        return WebhookRead([], nonce, read_inbound(fields))
    feedback = _feedback(call, fields)
    if feedback is None:
        return WebhookRead([], nonce)
    is_opt_out = text_field(fields, "ErrorCode") == _OPTED_OUT
    return WebhookRead(with_opt_out(feedback) if is_opt_out else [feedback], nonce)


def _feedback(call: WebhookCall, fields: Mapping[str, Any]) -> Feedback | None:
    status = text_field(fields, "Status")
    kind = _KINDS.get(status)
    uuid = text_field(fields, "MessageUUID")
    if kind is None or not uuid:
        return None
    error = text_field(fields, "ErrorCode") if kind == "failed" else ""
    at = text_field(fields, "DeliveryReportTime") or text_field(fields, "SentTime")
    return Feedback(
        f"{uuid}:{status}",
        "bounced" if error in _DEAD else kind,
        time_of(at, call.now_ms),
        # A part of a long message has an id of its own, and names the one that the reply had.
        provider_message_id=text_field(fields, "ParentMessageUUID") or uuid,
        code=f"plivo_{error}" if error else "",
        cost_micros=price_micros(fields.get("TotalAmount")),
        address=number_from(text_field(fields, "To")),
    )


def _check(call: WebhookCall, tokens: Sequence[str]) -> str:
    """The call's nonce. Raises Refused unless the call is signed with the account's token."""
    for version, text in (("v3", v3_text), ("v2", v2_text)):
        nonce = call.headers.get(f"x-plivo-signature-{version}-nonce", "")
        given = [
            signature.strip()
            for header in (f"x-plivo-signature-{version}", f"x-plivo-signature-ma-{version}")
            for signature in call.headers.get(header, "").split(",")
        ]
        if nonce and any(given):
            signed = text(call, nonce).encode()
            expected = [base64.b64encode(hmac.digest(one.encode(), signed, "sha256")) for one in tokens]
            if any(hmac.compare_digest(ours, one.encode()) for ours in expected for one in given):
                return nonce
            raise refuse("the webhook's signature is not this account's")
    raise refuse("the webhook is not signed")


def v2_text(call: WebhookCall, nonce: str) -> str:
    """What V2 signs: neither the query nor the body."""
    return _place(call.url) + nonce


def v3_text(call: WebhookCall, nonce: str) -> str:
    """What V3 signs: the url with its query in order, the form's fields in order. Raises Invalid on another body."""
    query = parse_qsl(urlsplit(call.url).query, keep_blank_values=True)
    form = [] if call.method == "GET" else read_form(call.raw)
    text = _place(call.url)
    if query or form:
        text += "?" + "&".join(f"{name}={value}" for name, value in sorted(query))
    if query and form:
        text += "."
    return text + "".join(name + value for name, value in sorted(form)) + "." + nonce


def _place(url: str) -> str:
    """An url without query and fragment."""
    return urlsplit(url)._replace(query="", fragment="").geturl()
