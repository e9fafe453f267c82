"""SES v2's two ways to send. That somebody signed is checked here; who it was, moto checks in the contract tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.testing.mail_vendors.double import Arrived, MailDouble, json_reply, load_validator

_GAP: Final = re.compile(r"\{\{(\w+)\}\}")


class SesDouble(MailDouble):
    """Takes mail. Addresses at `refused.example` are refused: alone with 400, in bulk by their entry's status."""

    def __init__(self) -> None:
        super().__init__()
        self._single = load_validator("ses_send", "SendEmailRequest")
        self._bulk = load_validator("ses_send", "SendBulkEmailRequest")

    def answer(self, request: HttpRequest) -> HttpReply:
        """200, 400, 403 or 404."""
        if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential="):
            return _error(403, "MissingAuthenticationTokenException")
        body = msgspec.json.decode(request.body)
        if request.url.endswith("/v2/email/outbound-emails"):
            return self._take_one(body) if self._single.is_valid(body) else _error(400, "BadRequestException")
        if request.url.endswith("/v2/email/outbound-bulk-emails"):
            is_valid = self._bulk.is_valid(body) and len(body["BulkEmailEntries"]) <= 50  # noqa: PLR2004  as documented
            return self._take_many(body) if is_valid else _error(400, "BadRequestException")
        return _error(404, "UnknownOperationException")

    def _take_one(self, body: Mapping[str, Any]) -> HttpReply:
        simple = body["Content"]["Simple"]
        to = body["Destination"]["ToAddresses"][0]
        if to.endswith("@refused.example"):
            return _error(400, "BadRequestException")
        texts = [simple["Body"].get(part, {}).get("Data", "") for part in ("Text", "Html")]
        self._keep(body["EmailTags"], to, [simple["Subject"]["Data"], *texts], simple.get("Headers", ()))
        return json_reply(200, {"MessageId": f"m{len(self.arrived)}"})

    def _take_many(self, body: Mapping[str, Any]) -> HttpReply:
        template = body["DefaultContent"]["Template"]
        defaults = msgspec.json.decode(template["TemplateData"])
        parts = [template["TemplateContent"].get(part, "") for part in ("Subject", "Text", "Html")]
        results: list[dict[str, str]] = []
        for entry in body["BulkEmailEntries"]:
            to = entry["Destination"]["ToAddresses"][0]
            if to.endswith("@refused.example"):
                results.append({"Status": "INVALID_PARAMETER", "Error": f"Illegal address <{to}>"})
                continue
            given = entry["ReplacementEmailContent"]["ReplacementTemplate"]["ReplacementTemplateData"]
            data = defaults | msgspec.json.decode(given)
            self._keep(
                entry["ReplacementTags"],
                to,
                [_filled(part, data) for part in parts],
                entry.get("ReplacementHeaders", ()),
            )
            results.append({"Status": "SUCCESS", "MessageId": f"m{len(self.arrived)}"})
        return json_reply(200, {"BulkEmailEntryResults": results})

    def _keep(
        self,
        tags: Sequence[Mapping[str, str]],
        to: str,
        texts: Sequence[str],
        headers: Sequence[Mapping[str, str]],
    ) -> None:
        subject, text, html = texts
        delivery = next(bytes.fromhex(tag["Value"]) for tag in tags if tag["Name"] == "clarion_delivery")
        written = {header["Name"]: header["Value"] for header in headers}
        self.arrived.append(Arrived(delivery, to, subject, text, html, written))


def _filled(part: str, data: Mapping[str, str]) -> str:
    return _GAP.sub(lambda gap: data[gap[1]], part)


def _error(status: int, kind: str) -> HttpReply:
    headers = {"x-amzn-errortype": f"{kind}:http://internal.amazon.com/coral/com.amazonaws.services.email/"}
    return json_reply(status, {"message": "the address <somebody@example.org> is wrong"}, headers)
