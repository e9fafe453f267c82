"""Vonage's Messages API: JSON, errors as problems, a token signed by the application's key."""

from __future__ import annotations

import secrets
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.jwk import RSAKey

from clarion.adapters.providers.base import Cut, Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.statuses import outcome_of, peek_body, read_body, verdict_of
from clarion.adapters.providers.sms.text import Longest, number_of, text_of
from clarion.adapters.providers.vonage.account import Account
from clarion.adapters.providers.vonage.errors import MESSAGES_ERRORS
from clarion.adapters.providers.vonage.provider import VonageProvider
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig

LONGEST: Final = Longest(gsm7=3200, ucs2=3200)
"""The specification's limit: 3,200 characters, whatever they are."""

TOKEN_LIFE_S: Final = 900
RENEW_BEFORE_S: Final = 120


class _Taken(msgspec.Struct, frozen=True):
    message_uuid: str


class _Problem(msgspec.Struct, frozen=True):
    type: str = ""


class Token:
    """The application's token, signed anew before it ends: a signature takes 1.4 ms."""

    def __init__(self, application_id: str, key: RSAKey) -> None:
        self._application_id = application_id
        self._key = key
        self._header = ""
        self._ends_s = 0

    def header(self, now_s: int) -> str:
        """The value of `Authorization`."""
        if now_s > self._ends_s - RENEW_BEFORE_S:
            self._ends_s = now_s + TOKEN_LIFE_S
            claims: dict[str, Any] = {
                "application_id": self._application_id,
                "iat": now_s,
                "exp": self._ends_s,
                "jti": secrets.token_hex(16),
            }
            self._header = "Bearer " + jwt.encode({"alg": "RS256", "typ": "JWT"}, claims, self._key)
        return self._header


class MessagesApiProvider(VonageProvider):
    """An account that speaks the Messages API."""

    def __init__(self, config: ProviderConfig, account: Account, outside: Outside) -> None:
        super().__init__(config, account, outside)
        application_id = account.settings.application_id
        self._token = Token(application_id, account.key) if application_id and account.key else None

    def _request(self, message: Message) -> HttpRequest:
        receipts_url = self._account.settings.receipts_url
        body = {
            "message_type": "text",
            "channel": "sms",
            "to": number_of(message).removeprefix("+"),
            "from": self._sender,
            "text": text_of(message, LONGEST),
            "client_ref": message.delivery_id.hex(),
        }
        if receipts_url:
            body |= {"webhook_url": receipts_url, "webhook_version": "v1"}
        return HttpRequest("POST", self._account.url, self._headers(), msgspec.json.encode(body))

    def _headers(self) -> dict[str, str]:
        token = self._token
        authorization = self._account.authorization
        return {
            "Authorization": token.header(self._clock.now_ms() // 1000) if token else authorization,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }

    def _outcome(self, message: Message, reply: HttpReply) -> Outcome:
        verdict = verdict_of(reply, self._clock.now_ms())
        problem = peek_body(reply, _Problem)
        code = problem.type.rpartition("#")[2] if problem else ""
        if known := MESSAGES_ERRORS.get(code):
            return known.of(message)
        if verdict.kind != "sent":
            return outcome_of(message, verdict, f"Vonage {code}" if code.isdecimal() else "")
        taken = read_body(reply, _Taken)
        if not taken.message_uuid:
            raise Cut("it reports success and no message", "unreadable_reply")
        return self._sent(message, taken.message_uuid)
