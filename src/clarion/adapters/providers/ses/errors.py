"""What SES's refusals mean: the type of an error of a whole call, or the status of an entry of a bulk call.

| refusal | kind | code |
|---|---|---|
| the key, its rights or signature; sending paused; a setting names nothing | transient, the account's | `auth` |
| too many requests, the rate | throttled, a second | `ses_throttled` |
| the daily quota | throttled, an hour: it is counted over the last 24 | `ses_daily_quota` |
| another limit | throttled, a minute | `ses_limit` |
| a temporary failure | transient | `ses_transient_failure` |
| rejected, malformed, failed | permanent | `ses_message_rejected`, … |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.statuses import Verdict, peek_body, verdict_of
from clarion.delivery.model import AUTH_CODE

_ACCOUNT: Final = Verdict("transient", AUTH_CODE)
_RATE: Final = Verdict("throttled", "ses_throttled", 1.0)
_DAILY: Final = Verdict("throttled", "ses_daily_quota", 3_600.0)
_LIMIT: Final = Verdict("throttled", "ses_limit", 60.0)

_TYPES: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "AccountSuspendedException": _ACCOUNT,
        "SendingPausedException": _ACCOUNT,
        "MailFromDomainNotVerifiedException": _ACCOUNT,
        "NotFoundException": _ACCOUNT,
        "AccessDeniedException": _ACCOUNT,
        "ExpiredTokenException": _ACCOUNT,
        "IncompleteSignature": _ACCOUNT,
        "IncompleteSignatureException": _ACCOUNT,
        "InvalidClientTokenId": _ACCOUNT,
        "InvalidSignatureException": _ACCOUNT,
        "MissingAuthenticationTokenException": _ACCOUNT,
        "SignatureDoesNotMatch": _ACCOUNT,
        "UnrecognizedClientException": _ACCOUNT,
        "TooManyRequestsException": _RATE,
        "Throttling": _RATE,
        "ThrottlingException": _RATE,
        "LimitExceededException": _LIMIT,
        "MessageRejected": Verdict("permanent", "ses_message_rejected"),
        "BadRequestException": Verdict("permanent", "ses_bad_request"),
    }
)
_STATUSES: Final[Mapping[str, Verdict]] = MappingProxyType(
    {
        "MAIL_FROM_DOMAIN_NOT_VERIFIED": _ACCOUNT,
        "CONFIGURATION_SET_NOT_FOUND": _ACCOUNT,
        "ACCOUNT_SUSPENDED": _ACCOUNT,
        "INVALID_SENDING_POOL_NAME": _ACCOUNT,
        "ACCOUNT_SENDING_PAUSED": _ACCOUNT,
        "CONFIGURATION_SET_SENDING_PAUSED": _ACCOUNT,
        "ACCOUNT_THROTTLED": _RATE,
        "ACCOUNT_DAILY_QUOTA_EXCEEDED": _DAILY,
        "TRANSIENT_FAILURE": Verdict("transient", "ses_transient_failure"),
    }
)
_DAILY_WORDS: Final = "daily"
_NAME: Final = re.compile(r"[A-Za-z_]{1,80}")


class _Error(msgspec.Struct, rename={"kind": "__type"}):
    kind: str = ""
    message: str = ""


def refusal_of(reply: HttpReply, now_ms: int) -> tuple[Verdict, str]:
    """What a reply that is no success means for every message of its call, and its type, for a user to look up."""
    error = peek_body(reply, _Error) or _Error()
    name = (reply.headers.get("x-amzn-errortype") or error.kind).partition(":")[0].rpartition("#")[2]
    verdict = _TYPES.get(name)
    if verdict is _RATE and _DAILY_WORDS in error.message.lower():
        verdict = _DAILY
    # The message of an error may quote an address: it stays behind.
    return verdict or verdict_of(reply, now_ms), name if _NAME.fullmatch(name) else ""


def refusal_of_entry(status: str) -> tuple[Verdict, str]:
    """What the status of an entry of a bulk call means, other than SUCCESS; and the status, for a user to look up."""
    name = status if _NAME.fullmatch(status) else "UNKNOWN"
    return _STATUSES.get(name) or Verdict("permanent", f"ses_{name.lower()}"), name
