"""The provider of kind `sendgrid`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from clarion.adapters.providers.base import Cut, Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call
from clarion.adapters.providers.http.statuses import Verdict, outcome_of, verdict_of
from clarion.adapters.providers.mail.letter import Letter, Party
from clarion.adapters.providers.mail.provider import Bulk, BulkLimits, MailProvider, RefusedWhole
from clarion.adapters.providers.sendgrid.account import SendGridAccount, read_account
from clarion.adapters.providers.sendgrid.errors import BAD_REQUEST, TOO_LARGE, faults_of
from clarion.delivery.model import Outcome
from clarion.tenancy.config import ProviderConfig

DELIVERY_ARGUMENT: Final = "clarion_delivery"
"""The custom argument that events give back."""

_LISTS: Final = (
    "suppression/bounces",
    "suppression/blocks",
    "suppression/invalid_emails",
    "suppression/spam_reports",
    "asm/suppressions/global",
)

_ACCEPTED: Final = 202

_UNTRACKED: Final = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
}
"""The account may have these on by default: they would rewrite links that Clarion signed, and add a second pixel."""


class SendGridProvider(MailProvider):
    """One API key. Letters that share their content go as personalizations of one call."""

    limits = BulkLimits(letters=1000, value_bytes=9_000, mark="-clarion-", call_bytes=30_000_000)

    def __init__(self, config: ProviderConfig, account: SendGridAccount) -> None:
        super().__init__(config, account.mail)
        self._base = f"{account.mail.endpoint}/v3"
        self._url = f"{self._base}/mail/send"
        self._headers = {"Authorization": f"Bearer {account.api_key}", "Content-Type": "application/json"}
        self._common: dict[str, Any] = {"from": _party(account.mail.sender), "tracking_settings": _UNTRACKED}
        if account.ip_pool:
            self._common["ip_pool_name"] = account.ip_pool
        self._domain = account.mail.sender.domain
        self._now_ms = account.mail.outside.clock.now_ms

    def unlisting(self, address: str) -> Sequence[HttpRequest]:
        """The calls that take an address off the account's lists; see `base.KeepsLists`."""
        who, headers = quote(address, safe=""), {"Authorization": self._headers["Authorization"]}
        return [HttpRequest("DELETE", f"{self._base}/{name}/{who}", headers) for name in _LISTS]

    def _gap(self, name: str) -> str:
        return f"-clarion-{name}-"

    def _single(self, letter: Letter) -> HttpRequest:
        content = _content(letter.text, letter.html)
        return self._request([self._personalization(letter)], letter.subject, content, letter.reply_to)

    def _bulk(self, bulk: Bulk) -> HttpRequest:
        gaps = [self._gap(name) for name in bulk.names]
        personalizations = [
            self._personalization(letter) | {"substitutions": dict(zip(gaps, values, strict=True))}
            for letter, values in zip(bulk.letters, bulk.values, strict=True)
        ]
        content = _content(bulk.text, bulk.html)
        return self._request(personalizations, bulk.subject, content, bulk.letters[0].reply_to)

    def _personalization(self, letter: Letter) -> dict[str, Any]:
        delivery = letter.delivery
        return {
            "to": [{"email": letter.to}],
            "custom_args": {DELIVERY_ARGUMENT: delivery},
            "headers": {"Message-ID": f"<{delivery}@{self._domain}>", **letter.headers},
        }

    def _request(
        self,
        personalizations: list[dict[str, Any]],
        subject: str,
        content: list[dict[str, str]],
        reply_to: Party | None,
    ) -> HttpRequest:
        body = {
            **self._common,
            "personalizations": personalizations,
            "subject": subject,
            "content": content,
        }
        if reply_to is not None:
            body["reply_to"] = _party(reply_to)
        return HttpRequest("POST", self._url, self._headers, msgspec.json.encode(body))

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        messages = [flight.message for flight in call.flights]
        if reply.status == BAD_REQUEST:
            return self._refused(call, reply)
        verdict = verdict_of(reply, self._now_ms())
        if reply.status == TOO_LARGE:
            if len(messages) > 1:
                raise RefusedWhole({})
            verdict = Verdict("permanent", "too_large")
        if verdict.kind != "sent":
            return [outcome_of(message, verdict) for message in messages]
        if reply.status != _ACCEPTED:
            raise Cut("it reports success in a way that is not SendGrid's", "unreadable_reply")
        call_id = reply.headers.get("x-message-id", "")
        # One id for the whole call, of which events show a longer form for each message: told apart by their place.
        return [
            self._sent(message, f"{call_id}.{place}" if call_id else message.delivery_id.hex())
            for place, message in enumerate(messages)
        ]

    def _refused(self, call: Call, reply: HttpReply) -> list[Outcome]:
        """The outcome of the only message of a call; raises RefusedWhole for several."""
        faults = faults_of(reply)
        flights = call.flights
        if len(flights) > 1:
            named = {
                fault.place: outcome_of(flights[fault.place].message, fault.verdict, fault.detail)
                for fault in faults
                if fault.place is not None and fault.place < len(flights)
            }
            raise RefusedWhole(named)
        if not faults:
            return [outcome_of(flights[0].message, Verdict("permanent", f"sendgrid_{BAD_REQUEST}"))]
        return [outcome_of(flights[0].message, faults[0].verdict, faults[0].detail)]


def _party(party: Party) -> dict[str, str]:
    return {"email": party.address, "name": party.name} if party.name else {"email": party.address}


def _content(text: str, html: str) -> list[dict[str, str]]:
    """Plain text must come first (SendGrid refuses the other order)."""
    return [
        {"type": kind, "value": value} for kind, value in (("text/plain", text), ("text/html", html)) if value
    ]


def build_sendgrid(config: ProviderConfig, outside: Outside) -> SendGridProvider:
    """A SendGrid account. Raises Invalid with the path of a wrong setting."""
    return SendGridProvider(config, read_account(config, outside))
