"""The provider of kind `fcm`."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.fcm.account import FcmAccount, read_account
from clarion.adapters.providers.fcm.errors import (
    INVALID_ARGUMENT,
    MEANINGS,
    SENDER_ID_MISMATCH,
    UNREGISTERED,
    read_verdict,
)
from clarion.adapters.providers.fcm.oauth import BearerTokens
from clarion.adapters.providers.fcm.payload import body_for
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.statuses import retry_after_of
from clarion.adapters.providers.push.fan_out import PushProvider
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig

THROTTLE_S: Final = 60.0
"""How long Google wants to be left alone after a 429 that names no time."""
_UNAUTHENTICATED: Final = 401

_encode: Final = msgspec.json.Encoder().encode


class FcmProvider(PushProvider):
    """A project of Firebase. Calls share one HTTP/2 connection; each carries one message to one device."""

    def __init__(self, config: ProviderConfig, account: FcmAccount, outside: Outside) -> None:
        super().__init__(config, "fcm", account.settings, outside)
        self._url = account.send_url
        self._tokens = BearerTokens(account, outside.transport, outside.clock)

    async def _prepare(self) -> None:
        await self._tokens.ensure()

    async def _renew(self, stale: HttpRequest) -> None:
        self._tokens.discard(stale.headers["authorization"])
        await self._tokens.ensure()

    def _is_stale(self, reply: HttpReply) -> bool:
        if reply.status != _UNAUTHENTICATED:
            return False
        verdict = read_verdict(reply)
        return verdict is None or verdict.code == "UNAUTHENTICATED"

    def _request_to(self, message: Message, device: DeviceToken) -> HttpRequest:
        body = {"message": {"token": device.token, **body_for(message, self._clock.now_ms())}}
        headers = {"authorization": self._tokens.authorization, "content-type": "application/json"}
        return HttpRequest("POST", self._url, headers, _encode(body), http2=True)

    def _outcome_to(self, message: Message, device: DeviceToken, reply: HttpReply) -> Outcome:
        verdict = read_verdict(reply)
        if verdict is None:
            return self._outcome_by_status(message, reply)
        if verdict.name:
            return self._sent(message, verdict.name)
        code = verdict.code
        if code == UNREGISTERED or (code == INVALID_ARGUMENT and verdict.names_token):
            return self._gone(message, device, code.lower())
        if code == SENDER_ID_MISMATCH:
            return self._gone_unless_misconfigured(message, device, code.lower())
        if code not in MEANINGS:
            return self._outcome_by_status(message, reply)
        kind, name = MEANINGS[code]
        wait_s = retry_after_of(reply.headers, self._clock.now_ms())
        if kind == "throttled":
            wait_s = wait_s or THROTTLE_S
        detail = f"Firebase answered {code}"
        return Outcome(message.delivery_id, kind, code=name, detail=detail, retry_after_s=wait_s)


def build_fcm(config: ProviderConfig, outside: Outside) -> FcmProvider:
    """An account with Firebase. Raises Invalid with the path of a wrong setting or credential."""
    return FcmProvider(config, read_account(config), outside)
