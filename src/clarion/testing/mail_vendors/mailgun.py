"""Mailgun's messages, as far as its documentation says how it behaves."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.mail_vendors.double import Arrived, MailDouble, json_reply, load_validator

MOST_RECIPIENTS: Final = 1000
MOST_OPTION_BYTES: Final = 16_384
_GOOD_KEY: Final = f"Basic {base64.b64encode(b'api:good-key').decode()}"
_GAP: Final = re.compile(r"%recipient\.(\w+)%")


class MailgunDouble(MailDouble):
    """Takes mail with the key `good-key`. An address at `refused.example` makes it refuse the whole call."""

    def __init__(self) -> None:
        super().__init__()
        self._validator = load_validator("mailgun_messages")

    def answer(self, request: HttpRequest) -> HttpReply:
        """200, 400, 401 or 404."""
        if request.headers.get("Authorization") != _GOOD_KEY:
            return HttpReply(401, {"content-type": "text/html"}, b"Forbidden")
        if not request.url.endswith("/v3/mg.shop.example/messages"):
            return json_reply(404, {"message": "Domain not found: other.example"})
        form = read_form(request)
        body = {name: values if len(values) > 1 else values[0] for name, values in form.items()}
        if (problem := self._problem(form, body)) is not None:
            return json_reply(400, {"message": problem})
        variables: Mapping[str, Mapping[str, str]] = msgspec.json.decode(
            form.get("recipient-variables", ["{}"])[0]
        )
        self.arrived.extend(_rebuilt(form, to, variables.get(to, {})) for to in form["to"])
        return json_reply(
            200, {"id": f"<{len(self.calls)}@mg.shop.example>", "message": "Queued. Thank you."}
        )

    def _problem(self, form: Mapping[str, Sequence[str]], body: Mapping[str, object]) -> str | None:
        error = next(iter(self._validator.iter_errors(body)), None)
        if error is not None:
            return error.message
        options = sum(
            len(value.encode()) for name, values in form.items() for value in values if name[:2] in "o:h:v:t:"
        )
        if options > MOST_OPTION_BYTES:
            return "Send options (parameters starting with o:, h:, or v:) are limited to 16KB total"
        if len(form["to"]) > MOST_RECIPIENTS or len(set(form["to"])) < len(form["to"]):
            return "to parameter has too many addresses"
        if any(to.endswith("@refused.example") for to in form["to"]):
            return "to parameter is not a valid address. please check documentation"
        return None


def read_form(request: HttpRequest) -> dict[str, list[str]]:
    """The fields of a multipart form, read by the standard library's parser of MIME."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    parsed = BytesParser(policy=HTTP).parsebytes(head + request.body)
    fields: dict[str, list[str]] = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise TypeError("a part of the form is none")
        fields.setdefault(name, []).append(payload.decode())
    return fields


def _rebuilt(form: Mapping[str, Sequence[str]], to: str, variables: Mapping[str, str]) -> Arrived:
    def filled(name: str) -> str:
        return _GAP.sub(lambda gap: variables[gap[1]], form.get(name, [""])[0])

    headers = {name[2:]: filled(name) for name in form if name.startswith("h:")}
    delivery = bytes.fromhex(filled("v:clarion_delivery"))
    return Arrived(delivery, to, filled("subject"), filled("text"), filled("html"), headers)
