"""Vonage's SMS API: a form, answered with 200 whatever became of it, one entry for each part of the message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec.structs import replace

from clarion.adapters.providers.base import Cut
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.statuses import outcome_of, read_body, verdict_of
from clarion.adapters.providers.sms.text import Longest, number_of, text_of
from clarion.adapters.providers.sms.webhook import price_micros
from clarion.adapters.providers.vonage.errors import SMS_STATUSES
from clarion.adapters.providers.vonage.provider import VonageProvider
from clarion.delivery.model import Message, Outcome
from clarion.delivery.sms_segments import size_sms

LONGEST: Final = Longest(gsm7=3200, ucs2=3200)

_HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_TAKEN: Final = "0"


class _Part(msgspec.Struct, frozen=True, rename="kebab"):
    status: str
    message_id: str = ""
    message_price: str = ""


class _Reply(msgspec.Struct, frozen=True):
    messages: list[_Part]


class SmsApiProvider(VonageProvider):
    """An account that speaks the SMS API."""

    def _request(self, message: Message) -> HttpRequest:
        text = text_of(message, LONGEST)
        credentials = self._account.credentials
        form = {
            "api_key": credentials.api_key,
            "api_secret": credentials.api_secret,
            "to": number_of(message).removeprefix("+"),
            "from": self._sender,
            "text": text,
            "type": "text" if size_sms(text).encoding == "gsm7" else "unicode",
            "client-ref": message.delivery_id.hex(),
        }
        if self._account.settings.receipts_url:
            form["callback"] = self._account.settings.receipts_url
        return HttpRequest("POST", self._account.url, _HEADERS, urlencode(form).encode())

    def _outcome(self, message: Message, reply: HttpReply) -> Outcome:
        verdict = verdict_of(reply, self._clock.now_ms())
        if verdict.kind != "sent":
            return outcome_of(message, verdict)
        parts = read_body(reply, _Reply).messages
        refused = [part for part in parts if part.status != _TAKEN]
        if not parts:
            raise Cut("it reports success and no message", "unreadable_reply")
        if not refused:
            return replace(self._sent(message, parts[0].message_id), cost_micros=_price(parts))
        if len(refused) < len(parts):
            raise Cut(f"Vonage SMS {refused[0].status}: a part of the message was taken", "vonage_partly")
        known = SMS_STATUSES.get(refused[0].status)
        if known is None:
            detail = f"Vonage SMS {refused[0].status}"
            return Outcome(message.delivery_id, "permanent", code="vonage_refused", detail=detail)
        return known.of(message)


def _price(parts: Sequence[_Part]) -> int:
    return sum(price_micros(part.message_price) or 0 for part in parts)
