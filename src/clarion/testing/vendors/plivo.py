"""Plivo's Message resource, as far as its documentation and its SDK say how it behaves."""

from __future__ import annotations

import base64
import re
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, VendorDouble, first_problem, header, json_reply

AUTH_ID: Final = "MA" + "A" * 18
AUTH_TOKEN: Final = "0" * 40
POISON: Final = "+15005550013"
"""A number that makes Plivo refuse the whole call."""

INVALID: Final = "+1999"
"""Numbers that begin like this come back as invalid, and their neighbours go."""

_NUMBER: Final = re.compile(r"\+?[1-9]\d{6,14}")


class PlivoDouble(VendorDouble):
    """Takes texts for AUTH_ID with AUTH_TOKEN: an id for each valid number; in `arrived` each stands apart."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        known = base64.b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
        if header(request, "authorization") != f"Basic {known}":
            return HttpReply(401, {"content-type": "text/html"}, b"Could not verify your access level")
        if (request.method, urlsplit(request.url).path) != ("POST", f"/v1/Account/{AUTH_ID}/Message/"):
            raise _error(404, "not found")
        body: dict[str, Any] = msgspec.json.decode(request.body)
        if (problem := first_problem("plivo_message_create", body)) is not None:
            raise _error(400, problem)
        numbers: list[str] = body["dst"].split("<")
        if POISON in numbers or body.get("src") in numbers or len(set(numbers)) < len(numbers):
            raise _error(400, f"dst {numbers[0]} is not valid")
        return self._queue(body, numbers)

    def _queue(self, body: dict[str, Any], numbers: list[str]) -> HttpReply:
        valid = [n for n in numbers if _NUMBER.fullmatch(n) and not n.startswith(INVALID)]
        uuids: list[str] = []
        for number in valid:
            self._take({**body, "dst": number})
            uuids.append(f"00000000-0000-4000-8000-{self.taken:012x}")
        reply: dict[str, Any] = {"message": "message(s) queued", "message_uuid": uuids, "api_id": "a"}
        if len(valid) < len(numbers):
            reply["invalid_number"] = [number for number in numbers if number not in valid]
        return json_reply(202, reply)


def _error(status: int, reason: str) -> Rejected:
    return Rejected(status, reason, {"api_id": "a", "error": reason})
