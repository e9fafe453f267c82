"""What a reply's status says, for every vendor alike; a vendor's own table of errors goes before it.

| status | kind | code |
|---|---|---|
| 2xx | sent | |
| 3xx | transient | `redirect`: the endpoint is somewhere else, and nothing was followed |
| 401, 403 | transient | `auth`: the account's credentials, not the message |
| 402 | transient | `payment_required`: the account, not the message |
| 408, 425, other 5xx | transient | `http_<status>` |
| 429 | throttled | `http_429` |
| 504 | ambiguous | `http_504`: a gateway gave up waiting for who may have done it |
| other 4xx | permanent | `http_<status>` |

Bodies are what they are: an error page in HTML leaves the status its say, a success without a readable body is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

import msgspec

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.exchange import HttpReply
from clarion.delivery.model import AUTH_CODE, Message, Outcome, OutcomeKind

DEFAULT_THROTTLE_S: Final = 1.0
"""For how long a vendor that throttles without saying so is left alone."""

LONGEST_RETRY_AFTER_S: Final = 86_400.0
"""A vendor that says more is believed this much: a day, the longest that a daily quota lasts."""

_SUCCESSES: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_CLIENT_ERRORS: Final = range(400, 500)
_ACCOUNT_CODES: Final = {401: AUTH_CODE, 403: AUTH_CODE, 402: "payment_required"}
_TRY_AGAIN: Final = frozenset({408, 425})
_THROTTLED: Final = 429
_GATEWAY_TIMEOUT: Final = 504
_SECONDS: Final = re.compile(r"\d{1,9}(?:\.\d{1,9})?")

_BodyT = TypeVar("_BodyT")


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of a message. `code` as in `Outcome.code`; `retry_after_s` 0: the vendor named no time."""

    kind: OutcomeKind
    code: str = ""
    retry_after_s: float = 0.0


_SENT: Final = Verdict("sent")


def verdict_of(reply: HttpReply, now_ms: int) -> Verdict:
    """What the status of a reply says by itself. `now_ms` (UTC) turns a `Retry-After` that is a date into seconds."""
    status = reply.status
    if status in _SUCCESSES:
        return _SENT
    wait_s = retry_after_of(reply.headers, now_ms)
    if status == _THROTTLED:
        return Verdict("throttled", f"http_{status}", wait_s or DEFAULT_THROTTLE_S)
    if account_code := _ACCOUNT_CODES.get(status):
        return Verdict("transient", account_code, wait_s)
    return Verdict(_kind_of(status), "redirect" if status in _REDIRECTS else f"http_{status}", wait_s)


def _kind_of(status: int) -> OutcomeKind:
    if status == _GATEWAY_TIMEOUT:
        return "ambiguous"
    if status in _CLIENT_ERRORS and status not in _TRY_AGAIN:
        return "permanent"
    return "transient"


def retry_after_of(headers: Mapping[str, str], now_ms: int) -> float:
    """The seconds that `Retry-After` asks for, as a number or as a date; 0 where it is missing, past, or nonsense."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return 0.0
    if _SECONDS.fullmatch(text):
        wait_s = float(text)
    else:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return 0.0
        # A date without a zone is GMT: RFC 9110 knows no other.
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        wait_s = at.timestamp() - now_ms / 1000
    return min(max(0.0, wait_s), LONGEST_RETRY_AFTER_S)


def outcome_of(message: Message, verdict: Verdict, detail: str = "") -> Outcome:
    """The outcome of a message that was not sent. `detail` is for users and holds no PII: name the vendor's error."""
    return Outcome(
        message.delivery_id,
        verdict.kind,
        code=verdict.code,
        detail=detail or "the vendor said no more than its status",
        retry_after_s=verdict.retry_after_s,
    )


def read_body(reply: HttpReply, into: type[_BodyT]) -> _BodyT:
    """The JSON body of a success. Raises Cut (`unreadable_reply`) where it is none: who knows what was done then."""
    body = peek_body(reply, into)
    if body is None:
        raise Cut("it reports success in words that are not its own", "unreadable_reply")
    return body


def peek_body(reply: HttpReply, into: type[_BodyT]) -> _BodyT | None:
    """The JSON body of any reply; None where it is not of this shape (HTML of a proxy, nothing at all)."""
    try:
        return msgspec.json.decode(reply.body, type=into)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
