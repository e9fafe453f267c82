"""What Mailgun's refusals mean. Their only code is the HTTP status; their words say the rest.

| status | words | kind | code |
|---|---|---|---|
| 400 | `to parameter is not a valid address` | permanent | `rcpt_invalid` |
| 400, 413 | other | permanent; of a call for many, those that still fail alone | `mailgun_400`, `too_large` |
| 401, 403, 404 | the key, the account, the domain | transient: the account's trouble | `auth` |
| 429 | `…limit exceeded, try again after 120 seconds` | throttled for as long | `http_429` |
| 500 | **may have been sent** (README) | ambiguous | `http_500` |
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

_BAD_REQUEST: Final = 400
_THROTTLED: Final = 429
_LONGEST_WAIT_S: Final = 86_400.0
_WAIT: Final = re.compile(r"try again after (\d{1,6}) second")
_BAD_ADDRESS: Final = re.compile(r"\bto parameter is not a valid address")

_BY_STATUS: Final[Mapping[int, tuple[Verdict, str]]] = MappingProxyType(
    {
        400: (Verdict("permanent", "mailgun_400"), "Mailgun says that the request is wrong"),
        404: (Verdict("transient", AUTH_CODE), "Mailgun does not know settings.domain in this region"),
        413: (Verdict("permanent", "too_large"), "Mailgun says that the message is too large"),
        500: (Verdict("ambiguous", "http_500"), "Mailgun has failed, and may have sent it"),
    }
)


class _Error(msgspec.Struct):
    message: str = ""


def refusal_of(reply: HttpReply, now_ms: int) -> tuple[Verdict, str]:
    """What a reply that is no success means for every message of its call, and what it says to a user."""
    error = peek_body(reply, _Error)
    words = error.message if error is not None else ""
    if reply.status == _BAD_REQUEST and _BAD_ADDRESS.search(words):
        return Verdict("permanent", "rcpt_invalid"), "Mailgun says that the address is none"
    if reply.status == _THROTTLED and (found := _WAIT.search(words)):
        wait_s = min(float(found[1]), _LONGEST_WAIT_S)
        return Verdict("throttled", f"http_{_THROTTLED}", wait_s), "Mailgun says that a limit is exceeded"
    return _BY_STATUS.get(reply.status) or (verdict_of(reply, now_ms), "")
