"""What Firebase's errors mean. The table is https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply
from clarion.adapters.providers.http.statuses import peek_body
from clarion.delivery.model import AUTH_CODE, OutcomeKind

FCM_ERROR: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
TOKEN_FIELD: Final = "message.token"  # noqa: S105  the name of a field
UNREGISTERED: Final = "UNREGISTERED"
INVALID_ARGUMENT: Final = "INVALID_ARGUMENT"
SENDER_ID_MISMATCH: Final = "SENDER_ID_MISMATCH"

MEANINGS: Final[dict[str, tuple[OutcomeKind, str]]] = {
    INVALID_ARGUMENT: ("permanent", "invalid_argument"),
    "QUOTA_EXCEEDED": ("throttled", "quota_exceeded"),
    "RESOURCE_EXHAUSTED": ("throttled", "quota_exceeded"),
    "UNAVAILABLE": ("transient", "unavailable"),
    "INTERNAL": ("transient", "internal"),
    # Firebase's own key for APNs, or for Web Push, is wrong: it has others for other platforms.
    "THIRD_PARTY_AUTH_ERROR": ("transient", "rcpt_third_party_auth"),
    "UNAUTHENTICATED": ("transient", AUTH_CODE),
    "PERMISSION_DENIED": ("transient", AUTH_CODE),
    # Without UNREGISTERED beside it this is about the project, which an account's settings name.
    "NOT_FOUND": ("transient", AUTH_CODE),
}
"""By FcmError's code, and where there is none by the status of google.rpc."""


class _Violation(msgspec.Struct):
    field: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    type_: str = msgspec.field(default="", name="@type")
    error_code: str = ""
    field_violations: list[_Violation] = []


class _Error(msgspec.Struct):
    status: str = ""
    details: list[_Detail] = []


class _Answer(msgspec.Struct):
    name: str = ""
    error: _Error | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What an answer says: the sent message's `name`, or the `code` of an error ("": it has none that is known).

    `names_token`: the error is about the device's token.
    """

    name: str = ""
    code: str = ""
    names_token: bool = False


def read_verdict(reply: HttpReply) -> Verdict | None:
    """The verdict in a reply's body; None where it is no answer of Firebase (502 comes as HTML)."""
    answer = peek_body(reply, _Answer)
    if answer is None:
        return None
    if answer.error is None:
        return Verdict(answer.name) if answer.name else None
    details = answer.error.details
    own = next((d.error_code for d in details if d.type_ == FCM_ERROR and d.error_code), "")
    names_token = any(v.field == TOKEN_FIELD for d in details for v in d.field_violations)
    return Verdict(code=own or answer.error.status, names_token=names_token)
