"""Twilio's status callbacks: who calls, and what it says.

The signature is a MAC over the url as Twilio called it and the form's fields in order of their names, with SHA-1, or
SHA-256 where the account's webhooks have a shared key. Twilio is not consistent about a port in that url, so both ways
are tried. A JSON body is covered by its hash, which the url holds as `bodySHA256`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from clarion.adapters.providers.proof import refuse, with_opt_out
from clarion.adapters.providers.sms.webhook import (
    check_among,
    delivery_of,
    fields_of,
    price_micros,
    read_form,
    secrets_of,
    text_field,
)
from clarion.adapters.providers.twilio.errors import OPTED_OUT
from clarion.adapters.providers.twilio.inbound import read_inbound
from clarion.adapters.providers.webhooks import Feedback, FeedbackKind, Fetch, WebhookCall, WebhookRead
from clarion.tenancy.config import ProviderConfig

_SIGNATURE: Final = "x-twilio-signature"
_SETTINGS: Final = "x-twilio-webhooks-signature-settings"
_PORTS: Final = MappingProxyType({"https": 443, "http": 80})

_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "sent": "sent",
        "partially_delivered": "sent",
        "delivered": "delivered",
        "read": "opened",
        "undelivered": "failed",
        "failed": "failed",
        "canceled": "failed",
    }
)
"""Statuses that tell something. Others (`queued`, `sending`, …) say that Twilio has it, as its reply did."""

_DEAD: Final = frozenset({"21211", "21614", "30005", "30006"})
"""Errors that say that there is no such mobile number."""


async def read_twilio(call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
    """The status that Twilio reports. `WebhookReader`."""
    del fetch
    _check(call, account)
    fields = fields_of(call)
    status = text_field(fields, "MessageStatus") or text_field(fields, "SmsStatus")
    kind = _KINDS.get(status)
    sid = text_field(fields, "MessageSid") or text_field(fields, "SmsSid")
    if status == "received":
        return WebhookRead([], f"text:{sid}", read_inbound(fields, sid))
    if kind is None or not sid:
        return WebhookRead([])
    error = text_field(fields, "ErrorCode") if kind == "failed" else ""
    feedback = Feedback(
        f"{sid}:{status}",
        "bounced" if error in _DEAD else kind,
        call.now_ms,  # callbacks say no time of their own
        delivery_of(call.url),
        sid,
        code=f"twilio_{error}" if error else "",
        cost_micros=price_micros(fields.get("Price")),
        address=text_field(fields, "To"),
    )
    return WebhookRead(with_opt_out(feedback) if error == str(OPTED_OUT) else [feedback])


def _check(call: WebhookCall, account: ProviderConfig) -> None:
    """Raise Refused unless the call is signed with the account's secret."""
    given = call.headers.get(_SIGNATURE, "")
    is_sha256 = "algorithm=hmac_sha256" in call.headers.get(_SETTINGS, "").lower().replace(" ", "")
    secrets = secrets_of(account, "webhook_secret" if is_sha256 else "auth_token")
    algorithm = "sha256" if is_sha256 else "sha1"
    signed = _signed_fields(call)
    parts = urlsplit(call.url)
    urls = (call.url, _without_port(parts), _with_port(parts))
    expected = [signature(secret, url + signed, algorithm) for secret in secrets for url in urls]
    check_among(expected, given)


def signature(secret: str, text: str, algorithm: str = "sha1") -> str:
    """Twilio's signature of an url and fields."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), algorithm)).decode()


def _signed_fields(call: WebhookCall) -> str:
    """What of the body the signature covers. Raises Refused where a JSON body is not the one that was signed."""
    digests = parse_qs(urlsplit(call.url).query).get("bodySHA256")
    if digests and "form" not in call.headers.get("content-type", ""):
        if not hmac.compare_digest(
            hashlib.sha256(call.raw).hexdigest().encode(), digests[0].lower().encode()
        ):
            raise refuse("the webhook's body is not the one that was signed")
        return ""
    return "" if call.method == "GET" else _joined(read_form(call.raw))


def _joined(fields: Sequence[tuple[str, str]]) -> str:
    """Names and values in order; of a field that came several times each value once."""
    return "".join(name + value for name, value in sorted(set(fields)))


def _without_port(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.removesuffix(f":{parts.port}")).geturl()


def _with_port(parts: SplitResult) -> str:
    if parts.port is not None:
        return parts.geturl()
    return parts._replace(netloc=f"{parts.netloc}:{_PORTS.get(parts.scheme, 443)}").geturl()
