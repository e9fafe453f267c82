"""Vonage's two interfaces, held against its own descriptions of them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.delivery.sms_segments import size_sms
from clarion.testing.vendors.double import Rejected, VendorDouble, first_problem, header, json_reply
from clarion.testing.vendors.twilio import read_form

API_KEY: Final = "abcd1234"
API_SECRET: Final = "abcdef0123456789"  # noqa: S105  of a made-up account
BARRED: Final = "447700900007"
"""A number that may not be sent to."""

PRICE: Final = "0.03330000"
"""What a part of a message costs, as the SMS API says it."""


class VonageMessagesDouble(VendorDouble):
    """The Messages API. Takes API_KEY with API_SECRET, and tokens of an application whose public key is `key`."""

    def __init__(self, key: RSAKey | None = None) -> None:
        super().__init__()
        self._key = key

    def _answer(self, request: HttpRequest) -> HttpReply:
        if (request.method, urlsplit(request.url).path) != ("POST", "/v1/messages"):
            raise _problem(404, "not-found", "no such resource")
        if not self._is_known(header(request, "authorization")):
            raise _problem(401, "unauthorized", "wrong credentials")
        body: dict[str, Any] = msgspec.json.decode(request.body)
        if (problem := first_problem("vonage_messages_sms", body)) is not None:
            raise _problem(422, "messages#1020", problem)
        if body["to"] == BARRED:
            raise _problem(422, "messages#1050", "number barred")
        self._take(body)
        return json_reply(202, {"message_uuid": f"00000000-0000-4000-8000-{self.taken:012x}"})

    def _is_known(self, authorization: str) -> bool:
        kind, _, value = authorization.partition(" ")
        if kind == "Basic":
            return value == base64.b64encode(f"{API_KEY}:{API_SECRET}".encode()).decode()
        if self._key is None:
            return False
        try:
            return "application_id" in jwt.decode(value, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError):
            return False


class VonageSmsDouble(VendorDouble):
    """The SMS API: says 200 to everything, and in the body what it thinks of it."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        form = read_form(request.body)
        if (form.get("api_key"), form.get("api_secret")) != (API_KEY, API_SECRET):
            return self._refuse("4", "Bad Credentials")
        if (problem := first_problem("vonage_new_message", form)) is not None:
            return self._refuse("3", problem)
        if form["to"] == BARRED:
            return self._refuse("7", f"Number barred: {BARRED}")
        self._take(form)
        parts = [self._part(form["to"], index) for index in range(size_sms(form["text"]).segments)]
        return sms_reply(*parts)

    def _refuse(self, status: str, text: str) -> HttpReply:
        self.refusals.append(text)
        return sms_reply({"status": status, "error-text": text})

    def _part(self, number: str, index: int) -> dict[str, str]:
        message_id = f"{self.taken:012X}{index:04X}"
        return {"to": number, "message-id": message_id, "status": "0", "message-price": PRICE}


def sms_reply(*parts: Mapping[str, str]) -> HttpReply:
    """The SMS API's reply with these entries."""
    return json_reply(200, {"message-count": str(len(parts)), "messages": parts})


def _problem(status: int, kind: str, reason: str) -> Rejected:
    body = {
        "type": f"https://developer.vonage.com/api-errors/{kind}",
        "title": "A problem",
        "detail": "The number +447700900000 is quoted here",
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }
    return Rejected(status, reason, body)
