"""Vonage's delivery receipts: who calls, and what is said.

Signed webhooks hold a JWT (HS256) whose claim `payload_hash` is the SHA-256 of the raw body; a valid signature without
that comparison would vouch for any body. The SMS API may sign the fields themselves instead (`sig`). Vonage says that
it sometimes calls unsigned, and to answer with an error then: it calls again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast

import msgspec

from clarion.adapters.providers.proof import (
    check_same,
    check_time,
    delivery_id,
    refuse,
    with_opt_out,
)
from clarion.adapters.providers.sms.webhook import (
    check_among,
    fields_of,
    number_from,
    price_micros,
    secrets_of,
    text_field,
    time_of,
)
from clarion.adapters.providers.vonage.errors import DEAD_NUMBERS, OPTED_OUT
from clarion.adapters.providers.webhooks import (
    Feedback,
    FeedbackKind,
    Fetch,
    Inbound,
    WebhookCall,
    WebhookRead,
)
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig

_MESSAGES_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "submitted": "sent",
        "delivered": "delivered",
        "read": "opened",
        "rejected": "failed",
        "undeliverable": "failed",
    }
)

_SMS_KINDS: Final[Mapping[str, FeedbackKind]] = MappingProxyType(
    {
        "accepted": "sent",
        "buffered": "sent",
        "delivered": "delivered",
        "failed": "failed",
        "rejected": "failed",
        "expired": "failed",
    }
)
"""`unknown` tells nothing."""

_BEARER: Final = "Bearer "
_JWT_PARTS: Final = 3
DEFAULT_METHOD: Final = "sha256"

_PartT = TypeVar("_PartT", bound=msgspec.Struct)


class _Header(msgspec.Struct, frozen=True):
    alg: str


class _Claims(msgspec.Struct, frozen=True):
    payload_hash: str
    iat: int
    jti: str = ""
    api_key: str = ""
    application_id: str = ""


async def read_vonage(call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
    """The status that Vonage reports. `WebhookReader`."""
    del fetch
    authorization = call.headers.get("authorization", "")
    if authorization.startswith(_BEARER):
        replay_key = _check_token(call, account, authorization.removeprefix(_BEARER))
        fields = fields_of(call)
    else:
        fields = fields_of(call)
        replay_key = _check_sig(call, account, fields)
    inbound = _inbound(fields)
    if inbound is not None:
        return WebhookRead([], replay_key, inbound)
    feedback = _messages_feedback(call, fields) if "message_uuid" in fields else _sms_feedback(call, fields)
    if feedback is None:
        return WebhookRead([], replay_key)
    error = feedback.code.removeprefix("vonage_")
    return WebhookRead(with_opt_out(feedback) if error in OPTED_OUT else [feedback], replay_key)


def _check_token(call: WebhookCall, account: ProviderConfig, token: str) -> str:
    """The token's id. Raises Refused unless the account's secret signed it, just now, for this very body."""
    if call.method == "GET":
        raise refuse("a token vouches for a body, not for a query: let Vonage call by POST")
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        raise refuse("the webhook's token is no JWT")
    if _decode(parts[0], _Header).alg != "HS256":
        raise refuse("the webhook's token is not signed with HS256")
    signed = f"{parts[0]}.{parts[1]}".encode()
    secrets = secrets_of(account, "signature_secret")
    check_among([_mac(secret, signed) for secret in secrets], parts[2])
    claims = _decode(parts[1], _Claims)
    check_same(
        hashlib.sha256(call.raw).hexdigest(),
        claims.payload_hash.lower(),
        "the webhook's body is not the one that was signed",
    )
    check_time(claims.iat * 1000, call.now_ms)
    _check_owner(claims, account)
    return claims.jti


def _mac(secret: str, signed: bytes) -> str:
    digest = hmac.digest(secret.encode(), signed, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check_owner(claims: _Claims, account: ProviderConfig) -> None:
    """Raise Refused where the token names another account: accounts may share a secret."""
    for name, said, ours in (
        ("api_key", claims.api_key, account.credentials.get("api_key")),
        ("application_id", claims.application_id, account.settings.get("application_id")),
    ):
        if said and ours and said != ours:
            raise refuse(f"the webhook's {name} is another account's")


def _decode(part: str, kind: type[_PartT]) -> _PartT:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise refuse("the webhook's token cannot be read") from error


def _check_sig(call: WebhookCall, account: ProviderConfig, fields: Mapping[str, Any]) -> str:
    """The nonce of signed fields. Raises Refused where the signature is wrong, Transient where there is none."""
    given = text_field(fields, "sig")
    if not given:
        raise Transient("the webhook is not signed")
    method = account.settings.get("signature_method", DEFAULT_METHOD)
    secrets = secrets_of(account, "signature_secret")
    check_among([sign_fields(fields, secret, method) for secret in secrets], given.lower())
    timestamp = text_field(fields, "timestamp")
    check_time(int(timestamp) * 1000 if timestamp.isdecimal() else 0, call.now_ms)
    return text_field(fields, "nonce")


def sign_fields(fields: Mapping[str, Any], secret: str, method: str) -> str:
    """The SMS API's signature of fields, in hexadecimal. `method` as in `SignatureMethod`."""
    text = "".join(
        f"&{name}={text_field(fields, name).replace('&', '_').replace('=', '_')}"
        for name in sorted(fields)
        if name != "sig"
    )
    if method == "md5hash":
        return hashlib.md5(f"{text}{secret}".encode(), usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), text.encode(), method).hexdigest()


def _inbound(fields: Mapping[str, Any]) -> Inbound | None:
    """The text message of a call, of either API; None where it brings none."""
    if "text" not in fields or "status" in fields:
        return None
    return Inbound(
        number_from(text_field(fields, "msisdn") or text_field(fields, "from")),
        number_from(text_field(fields, "to")),
        text_field(fields, "text"),
        text_field(fields, "message_uuid") or text_field(fields, "messageId"),
    )


def _messages_feedback(call: WebhookCall, fields: Mapping[str, Any]) -> Feedback | None:
    status = text_field(fields, "status")
    kind = _MESSAGES_KINDS.get(status)
    if kind is None:
        return None
    uuid = text_field(fields, "message_uuid")
    error = _error_of(fields.get("error")) if kind == "failed" else ""
    usage = fields.get("usage")
    return Feedback(
        f"{uuid}:{status}",
        "bounced" if error in DEAD_NUMBERS else kind,
        time_of(text_field(fields, "timestamp"), call.now_ms),
        delivery_id(text_field(fields, "client_ref")),
        uuid,
        code=f"vonage_{error}" if error else "",
        cost_micros=price_micros(_field(usage, "price")),
        address=number_from(text_field(fields, "to")),
    )


def _sms_feedback(call: WebhookCall, fields: Mapping[str, Any]) -> Feedback | None:
    status = text_field(fields, "status")
    kind = _SMS_KINDS.get(status)
    message_id = text_field(fields, "messageId")
    if kind is None or not message_id:
        return None
    error = text_field(fields, "err-code") if kind == "failed" else ""
    return Feedback(
        f"{message_id}:{status}",
        "bounced" if error in DEAD_NUMBERS else kind,
        time_of(text_field(fields, "message-timestamp"), call.now_ms),
        delivery_id(text_field(fields, "client-ref")),
        message_id,
        code=f"vonage_{error}" if error not in {"", "0"} else "",
        cost_micros=price_micros(fields.get("price")),
        address=number_from(text_field(fields, "msisdn")),
    )


def _error_of(error: object) -> str:
    """The number of an error: its title, or the end of its type."""
    for text in (_field(error, "title"), str(_field(error, "type")).rpartition("#")[2]):
        if str(text).isdecimal():
            return str(text)
    return ""


def _field(value: object, name: str) -> object:
    """A field of what should be a JSON object; None where it is none."""
    return cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
