"""SendGrid's Mail Send, as far as its documentation says how it behaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.mail_vendors.double import Arrived, MailDouble, json_reply, load_validator

MOST_SUBSTITUTION_BYTES: Final = 10_000
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
    """Takes mail with the API key `SG.good`. Addresses at `refused.example` are no addresses to it."""

    def __init__(self) -> None:
        super().__init__()
        self._validator = load_validator("sendgrid_mail_send")

    def answer(self, request: HttpRequest) -> HttpReply:
        """202, 400 naming a field, or 401."""
        if request.headers.get("Authorization") != "Bearer SG.good":
            return _errors(401, "The provided authorization grant is invalid, expired, or revoked", None)
        if (request.method, request.url.partition("/v3/")[2]) != ("POST", "mail/send"):
            return _errors(404, "not found", None)
        body = msgspec.json.decode(request.body)
        error = next(iter(self._validator.iter_errors(body)), None)
        if error is not None:
            return _errors(400, error.message, ".".join(str(step) for step in error.instance_path))
        if (problem := _problem(body)) is not None:
            return problem
        self.arrived.extend(_rebuilt(body, personalization) for personalization in body["personalizations"])
        return HttpReply(202, {"x-message-id": f"call{len(self.calls)}", "content-length": "0"}, b"")


def _problem(body: Mapping[str, Any]) -> HttpReply | None:
    """What the schema does not say and the documentation does."""
    for place, personalization in enumerate(body["personalizations"]):
        path = f"personalizations.{place}"
        if personalization["to"][0]["email"].endswith("@refused.example"):
            return _errors(400, "Does not contain a valid address.", f"{path}.to.0.email")
        if any(name.lower() in _RESERVED for name in personalization.get("headers", {})):
            return _errors(400, "The headers parameter may not override it.", f"{path}.headers")
        substitutions: Mapping[str, str] = personalization.get("substitutions", {})
        size = sum(len(tag.encode()) + len(value.encode()) for tag, value in substitutions.items())
        if size > MOST_SUBSTITUTION_BYTES:
            return _errors(400, "The substitutions are too large.", f"{path}.substitutions")
    kinds = [part["type"] for part in body["content"]]
    if kinds != sorted(kinds, key=("text/plain", "text/html").index):
        return _errors(400, "The text/plain content must come first.", "content")
    return None


def _rebuilt(body: Mapping[str, Any], personalization: Mapping[str, Any]) -> Arrived:
    parts = {part["type"]: part["value"] for part in body["content"]}
    texts = [body["subject"], parts.get("text/plain", ""), parts.get("text/html", "")]
    for tag, value in personalization.get("substitutions", {}).items():
        texts = [text.replace(tag, value) for text in texts]
    return Arrived(
        bytes.fromhex(personalization["custom_args"]["clarion_delivery"]),
        personalization["to"][0]["email"],
        *texts,
        headers=personalization.get("headers", {}),
    )


def _errors(status: int, message: str, field: str | None) -> HttpReply:
    return json_reply(status, {"errors": [{"message": message, "field": field, "help": None}]})
