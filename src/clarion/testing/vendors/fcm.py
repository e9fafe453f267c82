"""Firebase's `messages:send`, held against Google's discovery document."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, VendorDouble, first_problem, header, json_reply

PROJECT: Final = "clarion-test"
ACCESS_TOKEN: Final = "ya29.good"  # noqa: S105  what this double takes for one
LONGEST_PAYLOAD: Final = 4096
UNREGISTERED: Final = "unregistered"
FOREIGN: Final = "foreign"
"""Tokens that begin so are those of a device that is gone, and of another app."""

_PATH: Final = re.compile(r"/v1/projects/([^/]+)/messages:send")
_ERROR_TYPE: Final = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


class FcmDouble(VendorDouble):
    """Takes messages of PROJECT with any token in `tokens`, which starts with ACCESS_TOKEN alone."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = {ACCESS_TOKEN}

    def _answer(self, request: HttpRequest) -> HttpReply:
        if header(request, "authorization").removeprefix("Bearer ") not in self.tokens:
            raise _rejection(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        path = _PATH.fullmatch(urlsplit(request.url).path)
        if request.method != "POST" or path is None or path[1] != PROJECT:
            raise _rejection(404, "NOT_FOUND", "Requested entity was not found.")
        message = _read_message(request.body)
        _check_device(message.get("token", ""))
        self._take(message)
        return json_reply(200, {"name": f"projects/{PROJECT}/messages/{self.taken}"})


def _read_message(raw: bytes) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise _rejection(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from None
    if (problem := first_problem("fcm_send_message_request", body)) is not None:
        raise _rejection(400, "INVALID_ARGUMENT", problem)
    message: dict[str, Any] = body["message"]
    if len(raw) > LONGEST_PAYLOAD + len(message.get("token", "")):
        raise _rejection(400, "INVALID_ARGUMENT", "Android message is too big", "INVALID_ARGUMENT")
    return message


def _check_device(token: str) -> None:
    if token.startswith(UNREGISTERED):
        raise _rejection(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED")
    if token.startswith(FOREIGN):
        raise _rejection(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH")


def _rejection(status: int, word: str, message: str, fcm: str = "") -> Rejected:
    details = [{"@type": _ERROR_TYPE, "errorCode": fcm}] if fcm else []
    body = {"error": {"code": status, "message": message, "status": word, "details": details}}
    return Rejected(status, f"{word} {message}", body)
