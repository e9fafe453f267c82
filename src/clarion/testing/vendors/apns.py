"""Apple's side of APNs, answering as the reference mock of the Pushy project does."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.kernel.clock import Clock, StoreClock
from clarion.testing.vendors.double import VendorDouble

TOPIC: Final = "org.example.shop"
KEY_ID: Final = "KEY1234567"
TEAM_ID: Final = "TEAM123456"
MAX_PAYLOAD: Final = 4096
MAX_COLLAPSE: Final = 64
TOKEN_LIFE_S: Final = 3600
_PATH: Final = re.compile(r"/3/device/([^/?]*)")
_TOKEN: Final = re.compile(r"(?:[0-9a-fA-F]{2}){32,100}")
_TYPES: Final = frozenset(
    {
        "alert",
        "background",
        "location",
        "voip",
        "complication",
        "fileprovider",
        "mdm",
        "liveactivity",
        "pushtotalk",
    }
)
Reason: TypeAlias = tuple[int, str]


class ApnsDouble(VendorDouble):
    """The state of the service: the app's devices, the team's key. `arrived` has `token`, `headers` and `payload`.

    `devices`: tokens of the app that are well. `gone`: those that are dead, since when (UTC ms). `provider_tokens`: all
    that came, good or bad. `always`: what every notification is answered (None: what is true of it).
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or StoreClock()
        self._key = ECKey.generate_key("P-256")
        self.devices: set[str] = set()
        self.gone: dict[str, int] = {}
        self.provider_tokens: set[str] = set()
        self.always: Reason | None = None

    def credentials(self) -> dict[str, str]:
        """Those of the team."""
        key = self._key.as_pem(private=True).decode()
        return {"key": key, "key_id": KEY_ID, "team_id": TEAM_ID}

    def public_key(self) -> bytes:
        """The public half of the team's key, in PEM."""
        return self._key.as_pem(private=False)

    def register(self) -> str:
        """A new device of the app; its token."""
        token = uuid.uuid4().hex + uuid.uuid4().hex
        self.devices.add(token)
        return token

    def _answer(self, request: HttpRequest) -> HttpReply:
        path = urlsplit(request.url).path
        token = path.rpartition("/")[2]
        apns_id = request.headers.get("apns-id", str(uuid.uuid4()))
        reason = self._reason(request, path)
        if reason is None:
            payload = msgspec.json.decode(request.body, type=dict[str, Any])
            self._take({"token": token, "headers": request.headers, "payload": payload})
            return HttpReply(200, {"apns-id": apns_id, "apns-unique-id": str(uuid.uuid4())}, b"")
        status, name = reason
        body: dict[str, Any] = {"reason": name}
        if status == HTTPStatus.GONE:
            body["timestamp"] = self.gone.get(token, self._clock.now_ms())
        self.refusals.append(name)
        return HttpReply(status, {"apns-id": apns_id}, msgspec.json.encode(body))

    def _reason(self, request: HttpRequest, path: str) -> Reason | None:
        found = _PATH.fullmatch(path)
        if found is None:
            return (404, "BadPath")
        if request.method != "POST":
            return (405, "MethodNotAllowed")
        # Apple looks at who asks before it says anything of a device.
        refusal = self._reason_of_team(request.headers.get("authorization", ""))
        return (
            refusal
            or self.always
            or _reason_of_headers(request.headers)
            or _reason_of_payload(request.body)
            or self._reason_of_device(found[1])
        )

    def _reason_of_team(self, authorization: str) -> Reason | None:
        kind, _, token = authorization.partition(" ")
        if kind.lower() != "bearer" or not token:
            return (403, "MissingProviderToken")
        self.provider_tokens.add(token)
        try:
            decoded = jwt.decode(token, self._key, algorithms=["ES256"])
        except (JoseError, ValueError):
            return (403, "InvalidProviderToken")
        if decoded.header.get("kid") != KEY_ID or decoded.claims.get("iss") != TEAM_ID:
            return (403, "InvalidProviderToken")
        age_s = self._clock.now_ms() / 1000 - float(decoded.claims["iat"])
        return (403, "ExpiredProviderToken") if abs(age_s) > TOKEN_LIFE_S else None

    def _reason_of_device(self, token: str) -> Reason | None:
        if not token:
            return (400, "MissingDeviceToken")
        if not _TOKEN.fullmatch(token):
            return (400, "BadDeviceToken")
        if token in self.gone:
            return (410, "Unregistered")
        return None if token in self.devices else (400, "DeviceTokenNotForTopic")


def _reason_of_headers(headers: Mapping[str, str]) -> Reason | None:
    topic = headers.get("apns-topic")
    checks: dict[str, bool] = {
        "MissingTopic": topic is not None,
        "TopicDisallowed": topic == TOPIC,
        "BadMessageId": "apns-id" not in headers or _is_uuid(headers["apns-id"]),
        "BadPriority": headers.get("apns-priority", "10") in {"1", "5", "10"},
        "BadExpirationDate": headers.get("apns-expiration", "0").isdigit(),
        "InvalidPushType": headers.get("apns-push-type", "alert") in _TYPES,
        "BadCollapseId": len(headers.get("apns-collapse-id", "").encode()) <= MAX_COLLAPSE,
    }
    return next(((400, name) for name, holds in checks.items() if not holds), None)


def _reason_of_payload(body: bytes) -> Reason | None:
    if not body:
        return (400, "PayloadEmpty")
    if len(body) > MAX_PAYLOAD:
        return (413, "PayloadTooLarge")
    try:
        payload = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return (400, "PayloadEmpty")
    return None if isinstance(payload, dict) and "aps" in payload else (400, "PayloadEmpty")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
