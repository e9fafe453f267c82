"""The provider of kind `apns`."""

from __future__ import annotations

import re
from typing import Final

from clarion.adapters.providers.apns.account import ApnsAccount, read_account
from clarion.adapters.providers.apns.payload import apns_id, headers_of, payload_of
from clarion.adapters.providers.apns.reasons import (
    EXPIRED_TOKEN,
    GONE,
    GONE_UNLESS_MISCONFIGURED,
    MEANINGS,
    PAUSES_S,
    read_refusal,
)
from clarion.adapters.providers.apns.token import ProviderTokens
from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.http.statuses import retry_after_of
from clarion.adapters.providers.push.fan_out import PushProvider
from clarion.audience.model import DeviceToken
from clarion.delivery.model import Message, Outcome
from clarion.tenancy.config import ProviderConfig

_OK: Final = 200
_FORBIDDEN: Final = 403
_CAMEL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class ApnsProvider(PushProvider):
    """A team's app with Apple. Calls share one HTTP/2 connection; each carries one message to one device."""

    def __init__(self, config: ProviderConfig, account: ApnsAccount, outside: Outside) -> None:
        super().__init__(config, "apns", account.settings, outside)
        self._base_url = account.base_url
        self._topic = account.settings.topic
        self._sound = account.settings.sound
        self._tokens = ProviderTokens(account, outside.clock)

    async def _renew(self, stale: HttpRequest) -> None:
        self._tokens.renew(stale.headers["authorization"])

    def _is_stale(self, reply: HttpReply) -> bool:
        return reply.status == _FORBIDDEN and read_refusal(reply).reason == EXPIRED_TOKEN

    def _request_to(self, message: Message, device: DeviceToken) -> HttpRequest:
        headers = {
            "authorization": self._tokens.authorization(),
            "apns-topic": self._topic,
            **headers_of(message, device.token),
        }
        url = f"{self._base_url}/3/device/{device.token}"
        return HttpRequest("POST", url, headers, payload_of(message, self._sound), http2=True)

    def _outcome_to(self, message: Message, device: DeviceToken, reply: HttpReply) -> Outcome:
        if reply.status == _OK:
            return self._sent(message, reply.headers.get("apns-id") or apns_id(message, device.token))
        refusal = read_refusal(reply)
        reason, code = refusal.reason, _CAMEL.sub("_", refusal.reason).lower()
        if reason in GONE:
            return self._gone(message, device, code, refusal.timestamp)
        if reason in GONE_UNLESS_MISCONFIGURED:
            return self._gone_unless_misconfigured(message, device, code)
        if reason not in MEANINGS:
            return self._outcome_by_status(message, reply)
        kind, name = MEANINGS[reason]
        wait_s = retry_after_of(reply.headers, self._clock.now_ms()) or PAUSES_S.get(reason, 0.0)
        detail = f"Apple answered {reason}"
        return Outcome(message.delivery_id, kind, code=name, detail=detail, retry_after_s=wait_s)


def build_apns(config: ProviderConfig, outside: Outside) -> ApnsProvider:
    """An account with Apple. Raises Invalid with the path of a wrong setting or credential."""
    return ApnsProvider(config, read_account(config), outside)
