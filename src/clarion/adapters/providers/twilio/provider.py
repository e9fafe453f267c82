"""The provider of kind `twilio`."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

import msgspec

from clarion.adapters.providers.base import Cut, Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.statuses import outcome_of, peek_body, read_body, verdict_of
from clarion.adapters.providers.sms.provider import TextProvider
from clarion.adapters.providers.sms.text import Longest, number_of, text_of
from clarion.adapters.providers.sms.webhook import with_delivery
from clarion.adapters.providers.twilio.account import Account, read_account
from clarion.adapters.providers.twilio.errors import ERRORS, OPTED_OUT
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig

LONGEST: Final = Longest(gsm7=1600, ucs2=1600)
"""Twilio counts characters: 1,600 of any alphabet."""

_FAILED: Final = frozenset({"failed", "undelivered", "canceled"})


class _Reply(msgspec.Struct, frozen=True):
    """What we read of a message, or of an error: both are JSON objects, and an error may come with any status."""

    sid: str | None = None
    status: str | int | None = None
    error_code: int | str | None = None
    code: int | str | None = None


class TwilioProvider(TextProvider):
    """One account with Twilio: a call a message, each naming its delivery in the address of its receipts."""

    opt_outs = frozenset({f"rcpt_{OPTED_OUT}"})

    def __init__(self, config: ProviderConfig, account: Account, outside: Outside) -> None:
        settings = account.settings
        super().__init__(config, settings, outside, echoes_id=bool(settings.receipts_url))
        self._url = account.url
        self._headers = {
            "Authorization": account.authorization,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        self._receipts_url = settings.receipts_url
        common = {
            "From": settings.sender or "",
            "MessagingServiceSid": settings.messaging_service_sid or "",
            "ValidityPeriod": str(settings.validity_s or ""),
        }
        self._common = urlencode({name: value for name, value in common.items() if value})

    def _request(self, message: Message) -> HttpRequest:
        form = {"To": number_of(message), "Body": text_of(message, LONGEST)}
        if self._receipts_url:
            form["StatusCallback"] = with_delivery(self._receipts_url, message.delivery_id)
        return HttpRequest("POST", self._url, self._headers, f"{self._common}&{urlencode(form)}".encode())

    def _outcome(self, message: Message, reply: HttpReply) -> Outcome:
        verdict = verdict_of(reply, self._clock.now_ms())
        code = _error_of(peek_body(reply, _Reply))
        if code and (known := ERRORS.get(code)):
            return known.of(message)
        if verdict.kind != "sent":
            return outcome_of(message, verdict, f"Twilio {code}" if code else "")
        said = read_body(reply, _Reply)
        if code or said.status in _FAILED:
            return Outcome(message.delivery_id, "permanent", code="twilio_failed", detail=f"Twilio {code}")
        if not said.sid:
            raise Cut("it reports success and no message", "unreadable_reply")
        return self._sent(message, said.sid)


def _error_of(said: _Reply | None) -> int:
    """The vendor's error code in a reply; 0: it has none."""
    code = said and (said.error_code or said.code)
    try:
        return int(code or 0)
    except ValueError:
        return 0


def build_twilio(config: ProviderConfig, outside: Outside) -> TwilioProvider:
    """An account with Twilio. Raises Invalid with the path of a wrong setting."""
    return TwilioProvider(config, read_account(config), outside)
