"""Twilio's `Messages.json`, held against Twilio's own description of it."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, VendorDouble, first_problem, header, json_reply

ACCOUNT_SID: Final = "AC" + "0" * 32
AUTH_TOKEN: Final = "0" * 32
_PATH: Final = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})/Messages\.json")
_NUMBERS: Final = {"Attempt": int, "ValidityPeriod": int, "MaxPrice": float}
_TRUTHS: Final = frozenset(
    {"ProvideFeedback", "ForceDelivery", "SmartEncoded", "ShortenUrls", "SendAsMms", "RiskCheck"}
)
_LISTS: Final = frozenset({"MediaUrl", "PersistentAction"})
_LONGEST_BODY: Final = 1600
_REFUSED_NUMBERS: Final = {
    "+15005550001": (21211, "The 'To' number +15005550001 is not a valid phone number."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (21614, "'To' number: +15005550009, is not a valid mobile number"),
}
"""Twilio's own magic numbers, as far as their errors matter here."""


class TwilioDouble(VendorDouble):
    """Takes messages of the account ACCOUNT_SID with AUTH_TOKEN. Twilio's magic numbers fail as they do there."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        _check_caller(request)
        form = read_form(request.body)
        _check_form(form)
        self._take(form)
        sid = f"SM{self.taken:032x}"
        return json_reply(201, {"sid": sid, "status": "queued", "to": form["To"], "error_code": None})


def _check_caller(request: HttpRequest) -> None:
    known = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
    if header(request, "authorization") != f"Basic {known}":
        raise _rejection(401, 20003, "Authenticate")
    path = _PATH.fullmatch(urlsplit(request.url).path)
    if request.method != "POST" or path is None or path[1] != ACCOUNT_SID:
        raise _rejection(404, 20404, "The requested resource was not found")


def _check_form(form: dict[str, Any]) -> None:
    if (problem := first_problem("twilio_create_message", form)) is not None:
        raise _rejection(400, 21604, problem)
    if not form.keys() & {"From", "MessagingServiceSid"}:
        raise _rejection(400, 21603, "A 'From' phone number is required.")
    if len(form.get("Body", "")) > _LONGEST_BODY:
        raise _rejection(400, 21617, "The concatenated message body exceeds the 1600 character limit")
    if refusal := _REFUSED_NUMBERS.get(form["To"]):
        raise _rejection(400, *refusal)


def _rejection(status: int, code: int, message: str) -> Rejected:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    body = {"code": code, "message": message, "more_info": more_info, "status": status}
    return Rejected(status, f"{code} {message}", body)


def read_form(body: bytes) -> dict[str, Any]:
    """A form as the schema knows its fields: numbers, truths and lists as such; unreadable text stays text."""
    form: dict[str, Any] = {}
    for name, text in parse_qsl(body.decode("latin-1"), keep_blank_values=True, errors="strict"):
        if name in _LISTS:
            form.setdefault(name, []).append(text)
        else:
            form[name] = _read_value(name, text)
    return form


def _read_value(name: str, text: str) -> object:
    if name in _TRUTHS and text in {"true", "false"}:
        return text == "true"
    if kind := _NUMBERS.get(name):
        try:
            return kind(text)
        except ValueError:
            return text
    return text
