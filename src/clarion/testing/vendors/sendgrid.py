"""SendGrid's Mail Send, held against SendGrid's own description of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, first_problem, header
from clarion.testing.vendors.letters import REFUSED, MailDouble

API_KEY: Final = "SG.good"
MOST_SUBSTITUTION_BYTES: Final = 10_000
_KINDS: Final = ("text/plain", "text/html")
_RESERVED: Final = frozenset(
    {
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    }
)


class SendGridDouble(MailDouble):
    """Takes mail with the key API_KEY; of a call with one bad address it takes nothing, and names the address."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        if header(request, "authorization") != f"Bearer {API_KEY}":
            raise _rejection(401, [("The provided authorization grant is invalid, expired, or revoked", "")])
        if (request.method, urlsplit(request.url).path) != ("POST", "/v3/mail/send"):
            raise _rejection(404, [("not found", "")])
        body = msgspec.json.decode(request.body)
        if (problem := first_problem("sendgrid_mail_send", body)) is not None:
            raise _rejection(400, [(problem, "")])
        if problems := _problems(body):
            raise _rejection(400, problems)
        for personalization in body["personalizations"]:
            delivery = personalization["custom_args"]["clarion_delivery"]
            to = personalization["to"][0]["email"]
            self._take_letter(delivery, to, _parts(body, personalization), personalization.get("headers", {}))
        return HttpReply(202, {"X-Message-Id": f"call-{self.taken}"}, b"")


def _problems(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the description's words ask for and its schema does not: each with its field."""
    found: list[tuple[str, str]] = []
    for place, personalization in enumerate(body["personalizations"]):
        path = f"personalizations.{place}"
        if personalization["to"][0]["email"].endswith(REFUSED):
            found.append(("Does not contain a valid address.", f"{path}.to.0.email"))
        if any(name.lower() in _RESERVED for name in personalization.get("headers", {})):
            found.append(("The headers parameter may not override it.", f"{path}.headers"))
        substitutions: Mapping[str, str] = personalization.get("substitutions", {})
        size = sum(len(tag.encode()) + len(value.encode()) for tag, value in substitutions.items())
        if size > MOST_SUBSTITUTION_BYTES:
            found.append(("The substitutions are too large.", f"{path}.substitutions"))
    kinds = [part["type"] for part in body["content"]]
    if kinds != sorted(kinds, key=_KINDS.index):
        found.append(("The text/plain content must come first.", "content"))
    return found


def _parts(body: Mapping[str, Any], personalization: Mapping[str, Any]) -> list[str]:
    contents = {part["type"]: part["value"] for part in body["content"]}
    parts = [body["subject"], *(contents.get(kind, "") for kind in _KINDS)]
    for tag, value in personalization.get("substitutions", {}).items():
        parts = [part.replace(tag, value) if tag in part else part for part in parts]
    return parts


def _rejection(status: int, errors: list[tuple[str, str]]) -> Rejected:
    body = {
        "errors": [{"message": message, "field": field or None, "help": None} for message, field in errors]
    }
    return Rejected(status, str(errors), body)
