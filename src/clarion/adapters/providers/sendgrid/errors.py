"""What SendGrid's refusals mean.

| status | body | kind | code |
|---|---|---|---|
| 400 | an error's `field` names `personalizations.N.to` | permanent, for that one | `rcpt_invalid` |
| 400 | an error's `field` names anything else of a personalization | permanent, for that one | `sendgrid_400` |
| 400, 413 | anything else | permanent; of a call for many, those that still fail alone | `sendgrid_400`, `too_large` |
| 403 | `from` is not a verified sender | transient: the account's trouble | `auth` |
| 401, 429, 5xx | | as for every vendor (`http.statuses`) | |
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.statuses import Verdict, peek_body

BAD_REQUEST: Final = 400
TOO_LARGE: Final = 413

_PLACE: Final = re.compile(r"personalizations(?:\.|\[)(\d+)\]?(\.\w+)?")
_FIELD: Final = re.compile(r"[\w.\[\]]{1,80}")


class _Error(msgspec.Struct):
    field: str | None = None


class _Errors(msgspec.Struct):
    errors: Sequence[_Error] = ()


class Fault(msgspec.Struct, frozen=True):
    """One error of a refusal. `place`: of the personalization that it is about; None: the whole call."""

    place: int | None
    verdict: Verdict
    detail: str


def faults_of(reply: HttpReply) -> list[Fault]:
    """What a 400 names; empty where its body is none of SendGrid's. Messages are left out: they quote addresses."""
    body = peek_body(reply, _Errors)
    return [_fault(error.field or "") for error in body.errors] if body is not None else []


def _fault(field: str) -> Fault:
    place = _PLACE.match(field)
    is_addressee = place is not None and place[2] == ".to"
    named = field if _FIELD.fullmatch(field) else "the request"
    return Fault(
        int(place[1]) if place else None,
        Verdict("permanent", "rcpt_invalid" if is_addressee else f"sendgrid_{BAD_REQUEST}"),
        f"SendGrid refuses {named}",
    )
