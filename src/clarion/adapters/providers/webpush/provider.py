"""The provider of kind `webpush`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clarion.adapters.providers.base import Cut, Outside, Unavailable, Unsendable
from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.adapters.providers.push.data import topic_of
from clarion.adapters.providers.push.fan_out import NoToken, PushCall, PushProvider
from clarion.adapters.providers.webpush.account import MAX_TTL_S, WebPushAccount, read_account
from clarion.adapters.providers.webpush.encryption import MAX_PLAIN, encrypt
from clarion.adapters.providers.webpush.receipts import Proofs
from clarion.adapters.providers.webpush.subscription import Subscription, origin_of, read_subscription
from clarion.adapters.providers.webpush.vapid import Vapid
from clarion.audience.model import DeviceToken
from clarion.delivery.circuit import ADDRESSEE_CODE
from clarion.delivery.model import Message, Outcome
from clarion.kernel.ids import format_id
from clarion.tenancy.config import ProviderConfig

URGENT_PRIORITY: Final = 2
LOW_PRIORITY: Final = 7
LONGEST_LOCATION: Final = 300

SERVICES: Final = (
    "//fcm.googleapis.com",
    "//updates.push.services.mozilla.com",
    "//web.push.apple.com",
    ".notify.windows.com",
)
"""How the origins of the browsers' own push services end."""

_TAKEN: Final = frozenset({200, 201, 202})
_GONE: Final = frozenset({404, 410})
_FORBIDDEN: Final = 403
_TOO_LARGE: Final = 413

_encode: Final = msgspec.json.Encoder().encode


class WebPushProvider(PushProvider):
    """An application server's key. Each call carries one encrypted message to the server that the browser named."""

    def __init__(self, config: ProviderConfig, account: WebPushAccount, outside: Outside) -> None:
        super().__init__(config, "webpush", account.settings, outside)
        self._settings = account.settings
        self._vapid = Vapid(account, outside.clock)
        self._proofs = Proofs(account.key)

    def _request_to(self, message: Message, device: DeviceToken) -> HttpRequest:
        try:
            subscription = read_subscription(device.token)
        except ValueError as error:
            raise NoToken("the token is no subscription", "bad_subscription") from error
        plain = _encode(self._content_of(message))
        if len(plain) > MAX_PLAIN:
            raise Unsendable(f"the message has {len(plain)} bytes; Web Push takes {MAX_PLAIN}", "too_large")
        url = (self._settings.base_url or subscription.origin) + subscription.path
        body = encrypt(plain, subscription.receiver, subscription.secret)
        return HttpRequest("POST", url, self._headers(message, subscription), body)

    def _content_of(self, message: Message) -> dict[str, Any]:
        """What the page's service worker reads. `id` is the delivery's, `tag` replaces what is shown under the same."""
        content: dict[str, Any] = {"id": format_id(message.delivery_id)}
        said = {"title": message.title, "body": message.body, "data": message.data}
        content |= {name: value for name, value in said.items() if value}
        if message.collapse_key:
            content["tag"] = message.collapse_key
        if self._settings.receipts_url:
            proof = self._proofs.of(message.delivery_id)
            content["receipts"] = {"url": self._settings.receipts_url, "proof": proof}
        return content

    def _headers(self, message: Message, subscription: Subscription) -> dict[str, str]:
        headers = {
            "authorization": self._vapid.authorization(subscription.origin),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(self._ttl_s(message)),
            "urgency": _urgency_of(message),
        }
        if message.collapse_key:
            headers["topic"] = topic_of(message.collapse_key)
        return headers

    def _ttl_s(self, message: Message) -> int:
        if not message.expires_ms:
            return self._settings.ttl_s
        return min(MAX_TTL_S, max(0, (message.expires_ms - self._clock.now_ms()) // 1000))

    async def _deliver(self, call: PushCall) -> Outcome:
        try:
            return await super()._deliver(call)
        except (Unavailable, Cut) as error:
            if self._speaks_for_all(origin_of(call.device.token)):
                raise
            raise type(error)(error.detail, f"{ADDRESSEE_CODE}{error.code}") from error

    def _speaks_for_all(self, origin: str) -> bool:
        """Whether what happens there says something of the account. Whoever subscribes can name any server."""
        if self._settings.base_url or self._vapid.is_proven(origin):
            return True
        return origin.startswith("https://") and origin.endswith(SERVICES)

    def _outcome_to(self, message: Message, device: DeviceToken, reply: HttpReply) -> Outcome:
        origin = origin_of(device.token)
        if reply.status in _TAKEN:
            self._vapid.prove(origin)
            return self._sent(message, _message_id(message, reply))
        if reply.status in _GONE:
            return self._gone(message, device, "gone")
        if reply.status == _TOO_LARGE:
            detail = "the push service takes no message of this size"
            return Outcome(message.delivery_id, "permanent", code="too_large", detail=detail)
        if reply.status == _FORBIDDEN and self._vapid.is_proven(origin):
            detail = "the browser subscribed to another key than the account's"
            return Outcome(message.delivery_id, "permanent", code=f"{ADDRESSEE_CODE}other_key", detail=detail)
        outcome = self._outcome_by_status(message, reply)
        if self._speaks_for_all(origin):
            return outcome
        return msgspec.structs.replace(outcome, code=f"{ADDRESSEE_CODE}{outcome.code}")


def _message_id(message: Message, reply: HttpReply) -> str:
    """What the push service calls the message, or what we do: whoever subscribes chooses what the service says."""
    location = reply.headers.get("location", "")
    is_plain = location.isascii() and location.isprintable() and len(location) <= LONGEST_LOCATION
    return location if location and is_plain else format_id(message.delivery_id)


def _urgency_of(message: Message) -> str:
    if message.priority <= URGENT_PRIORITY:
        return "high"
    return "low" if message.priority >= LOW_PRIORITY else "normal"


def build_webpush(config: ProviderConfig, outside: Outside) -> WebPushProvider:
    """An account for Web Push. Raises Invalid with the path of a wrong setting or credential."""
    return WebPushProvider(config, read_account(config), outside)
