"""SES v2's two ways to send, held against Amazon's own model. Whose signature it is, moto checks in contract tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.vendors.double import Rejected, first_problem, header, json_reply
from clarion.testing.vendors.letters import REFUSED, MailDouble

MOST_ENTRIES: Final = 50
_GAP: Final = re.compile(r"\{\{(\w+)\}\}")


class SesDouble(MailDouble):
    """Takes signed mail. A bad address is refused alone: with 400, or as the status of its entry."""

    def _answer(self, request: HttpRequest) -> HttpReply:
        if not header(request, "authorization").startswith("AWS4-HMAC-SHA256 Credential="):
            raise _rejection(403, "MissingAuthenticationTokenException", "no signature")
        body = msgspec.json.decode(request.body)
        match urlsplit(request.url).path:
            case "/v2/email/outbound-emails":
                return self._take_one(body)
            case "/v2/email/outbound-bulk-emails":
                return self._take_many(body)
            case path:
                raise _rejection(404, "UnknownOperationException", path)

    def _take_one(self, body: Mapping[str, Any]) -> HttpReply:
        _check("ses_send_email", body)
        simple, to = body["Content"]["Simple"], body["Destination"]["ToAddresses"][0]
        if to.endswith(REFUSED):
            raise _rejection(400, "BadRequestException", f"Illegal address <{to}>")
        parts = [simple["Body"].get(part, {}).get("Data", "") for part in ("Text", "Html")]
        self._keep(body["EmailTags"], to, [simple["Subject"]["Data"], *parts], simple.get("Headers", ()))
        return json_reply(200, {"MessageId": f"m{self.taken}"})

    def _take_many(self, body: Mapping[str, Any]) -> HttpReply:
        _check("ses_send_bulk_email", body)
        if len(body["BulkEmailEntries"]) > MOST_ENTRIES:
            raise _rejection(400, "BadRequestException", "too many entries")
        template = body["DefaultContent"]["Template"]
        results = [self._take_entry(entry, template) for entry in body["BulkEmailEntries"]]
        return json_reply(200, {"BulkEmailEntryResults": results})

    def _take_entry(self, entry: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, str]:
        to = entry["Destination"]["ToAddresses"][0]
        if to.endswith(REFUSED):
            return {"Status": "INVALID_PARAMETER", "Error": f"Illegal address <{to}>"}
        data = msgspec.json.decode(template["TemplateData"]) | msgspec.json.decode(
            entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
        )
        contents = [template["TemplateContent"].get(part, "") for part in ("Subject", "Text", "Html")]
        parts = [_GAP.sub(lambda gap: data[gap[1]], content) for content in contents]
        self._keep(entry["ReplacementTags"], to, parts, entry.get("ReplacementHeaders", ()))
        return {"Status": "SUCCESS", "MessageId": f"m{self.taken}"}

    def _keep(
        self,
        tags: Sequence[Mapping[str, str]],
        to: str,
        parts: Sequence[str],
        headers: Sequence[Mapping[str, str]],
    ) -> None:
        delivery = next(tag["Value"] for tag in tags if tag["Name"] == "clarion_delivery")
        self._take_letter(delivery, to, parts, {header["Name"]: header["Value"] for header in headers})


def _check(schema: str, body: object) -> None:
    if (problem := first_problem(schema, body)) is not None:
        raise _rejection(400, "BadRequestException", problem)


def _rejection(status: int, kind: str, reason: str) -> Rejected:
    return Rejected(status, f"{kind} {reason}", {"__type": kind, "message": reason})
