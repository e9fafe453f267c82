"""Mailgun's messages, held against Mailgun's own description of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from email.policy import HTTP
from typing import Final
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, first_problem, header, json_reply
from clarion.testing.vendors.letters import REFUSED, MailDouble

API_KEY: Final = "good-key"
DOMAIN: Final = "mg.shop.example"
MOST_RECIPIENTS: Final = 1000
MOST_OPTION_BYTES: Final = 16_384
_LOGIN: Final = f"Basic {base64.b64encode(f'api:{API_KEY}'.encode()).decode()}"
_GAP: Final = re.compile(r"%recipient\.(\w+)%")


class MailgunDouble(MailDouble):
    """Takes mail of DOMAIN with the key API_KEY. One bad address makes it refuse the whole call, and name nobody."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        if header(request, "authorization") != _LOGIN:
            # As Mailgun does: a page in place of JSON.
            return HttpReply(401, {"content-type": "text/html"}, b"Forbidden")
        if (request.method, urlsplit(request.url).path) != ("POST", f"/v3/{DOMAIN}/messages"):
            raise _rejection(404, "Domain not found")
        form = read_form(request)
        _check(form)
        for to in form["to"]:
            self._take_rendered(form, to)
        return json_reply(200, {"id": f"<{self.taken}@{DOMAIN}>", "message": "Queued. Thank you."})

    def _take_rendered(self, form: Mapping[str, Sequence[str]], to: str) -> None:
        given = form.get("recipient-variables")
        variables: Mapping[str, Mapping[str, str]] = msgspec.json.decode(given[0]) if given else {}

        def filled(name: str) -> str:
            text = form.get(name, [""])[0]
            return _GAP.sub(lambda gap: variables[to][gap[1]], text) if given else text

        headers = {name[2:]: filled(name) for name in form if name.startswith("h:")}
        parts = [filled(name) for name in ("subject", "text", "html")]
        self._take_letter(filled("v:clarion_delivery"), to, parts, headers)


def read_form(request: HttpRequest) -> dict[str, list[str]]:
    """The fields of a multipart form, read by the standard library's parser of MIME."""
    head = f"Content-Type: {header(request, 'content-type')}\r\n\r\n".encode()
    parsed = BytesParser(policy=HTTP).parsebytes(head + request.body)
    fields: dict[str, list[str]] = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise _rejection(400, "a part of the form is none")
        fields.setdefault(name, []).append(payload.decode())
    return fields


def _check(form: Mapping[str, Sequence[str]]) -> None:
    body = {name: values if len(values) > 1 else values[0] for name, values in form.items()}
    if (problem := first_problem("mailgun_messages", body)) is not None:
        raise _rejection(400, problem)
    options = [value for name, values in form.items() for value in values if name[1:2] == ":"]
    if len("".join(options).encode()) > MOST_OPTION_BYTES:
        raise _rejection(
            400, "Send options (parameters starting with o:, h:, or v:) are limited to 16KB total"
        )
    if len(form["to"]) > MOST_RECIPIENTS or len(set(form["to"])) < len(form["to"]):
        raise _rejection(400, "to parameter has too many addresses, or one twice")
    if any(to.endswith(REFUSED) for to in form["to"]):
        raise _rejection(400, "to parameter is not a valid address. please check documentation")


def _rejection(status: int, message: str) -> Rejected:
    return Rejected(status, message, {"message": message})
