"""The provider of kind `mailgun`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from clarion.adapters.providers.base import Cut, Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.provider import Call
from clarion.adapters.providers.http.statuses import outcome_of, read_body
from clarion.adapters.providers.mail.letter import Letter
from clarion.adapters.providers.mail.provider import Bulk, BulkLimits, MailProvider, RefusedWhole
from clarion.adapters.providers.mailgun.account import MailgunAccount, read_account
from clarion.adapters.providers.mailgun.errors import refusal_of
from clarion.adapters.providers.mailgun.multipart import encode_form
from clarion.delivery.model import Outcome
from clarion.tenancy.config import ProviderConfig

DELIVERY_VARIABLE: Final = "clarion_delivery"
"""The user variable that events give back."""

_ID_KEY: Final = "id"
_SUCCESSES: Final = range(200, 300)
_QUEUED: Final = "Queued"


_LISTS: Final = ("bounces", "complaints", "unsubscribes", "whitelists")


class _Queued(msgspec.Struct):
    id: str
    message: str


class MailgunProvider(MailProvider):
    """One sending domain. Letters that share their content go as one message with variables for each recipient."""

    limits = BulkLimits(
        letters=1000, value_bytes=14_000, mark="%recipient", call_bytes=25_000_000, distinct=True
    )

    def __init__(self, config: ProviderConfig, account: MailgunAccount) -> None:
        super().__init__(config, account.mail)
        self._base = f"{account.mail.endpoint}/v3/{account.domain}"
        self._url = f"{self._base}/messages"
        self._authorization = account.authorization
        # The domain may have tracking on: it would rewrite links that Clarion signed, and add a second pixel.
        self._common = [("from", account.mail.sender.header), ("o:tracking", "no")]
        self._domain = account.mail.sender.domain
        self._now_ms = account.mail.outside.clock.now_ms

    def unlisting(self, address: str) -> Sequence[HttpRequest]:
        """The calls that take an address off the domain's lists; see `base.KeepsLists`."""
        who, headers = quote(address, safe=""), {"Authorization": self._authorization}
        return [HttpRequest("DELETE", f"{self._base}/{name}/{who}", headers) for name in _LISTS]

    def _gap(self, name: str) -> str:
        return f"%recipient.{name}%"

    def _single(self, letter: Letter) -> HttpRequest:
        delivery = letter.delivery
        fields = [
            *self._common,
            ("to", letter.to),
            *_content(letter.subject, letter.text, letter.html),
            *_reply_to(letter),
            *((f"h:{name}", value) for name, value in letter.headers.items()),
            ("h:Message-Id", f"<{delivery}@{self._domain}>"),
            (f"v:{DELIVERY_VARIABLE}", delivery),
        ]
        return self._request(fields)

    def _bulk(self, bulk: Bulk) -> HttpRequest:
        first = bulk.letters[0]
        header_names = list(first.headers)
        keys = [*bulk.names, *(f"h{place}" for place in range(len(header_names))), _ID_KEY]
        variables = {
            letter.to: dict(zip(keys, (*values, *letter.headers.values(), letter.delivery), strict=True))
            for letter, values in zip(bulk.letters, bulk.values, strict=True)
        }
        fields = [
            *self._common,
            *(("to", letter.to) for letter in bulk.letters),
            *_content(bulk.subject, bulk.text, bulk.html),
            *_reply_to(first),
            *((f"h:{name}", self._gap(f"h{place}")) for place, name in enumerate(header_names)),
            (f"v:{DELIVERY_VARIABLE}", self._gap(_ID_KEY)),
            ("recipient-variables", msgspec.json.encode(variables).decode()),
        ]
        return self._request(fields)

    def _request(self, fields: Sequence[tuple[str, str]]) -> HttpRequest:
        content_type, body = encode_form(fields)
        headers = {"Authorization": self._authorization, "Content-Type": content_type}
        return HttpRequest("POST", self._url, headers, body)

    def _outcomes_of(self, call: Call, reply: HttpReply) -> list[Outcome]:
        messages = [flight.message for flight in call.flights]
        if reply.status not in _SUCCESSES:
            verdict, detail = refusal_of(reply, self._now_ms())
            if verdict.kind == "permanent" and len(messages) > 1:
                raise RefusedWhole({})
            return [outcome_of(message, verdict, detail) for message in messages]
        queued = read_body(reply, _Queued)
        if not queued.message.startswith(_QUEUED):
            raise Cut("it answers with success, and has not queued the message", "unreadable_reply")
        if len(messages) == 1:
            return [self._sent(messages[0], queued.id)]
        # One id for the whole call, told apart by the place; events find their delivery by the user variable.
        return [self._sent(message, f"{queued.id}.{place}") for place, message in enumerate(messages)]


def _content(subject: str, text: str, html: str) -> list[tuple[str, str]]:
    fields = (("subject", subject), ("text", text), ("html", html))
    return [(name, value) for name, value in fields if value]


def _reply_to(letter: Letter) -> list[tuple[str, str]]:
    return [] if letter.reply_to is None else [("h:Reply-To", letter.reply_to.header)]


def build_mailgun(config: ProviderConfig, outside: Outside) -> MailgunProvider:
    """A Mailgun account. Raises Invalid with the path of a wrong setting."""
    return MailgunProvider(config, read_account(config, outside))
