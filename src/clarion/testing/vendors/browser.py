"""A browser with its push service: it subscribes, checks who sends, and decrypts what comes with another's code."""

from __future__ import annotations

import importlib
import itertools
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, Protocol, cast
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from clarion.adapters.providers.http.exchange import HttpReply, HttpRequest
from clarion.kernel.clock import Clock, StoreClock
from clarion.testing.vendors.double import Rejected, VendorDouble, header

_DAY_S: Final = 86_400
_MAX_BODY: Final = 4096
_SECRET: Final = b"sixteen byte key"
_VAPID: Final = re.compile(r"vapid t=([^,\s]+),\s*k=([A-Za-z0-9_-]+)")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES: Final = frozenset({"very-low", "low", "normal", "high"})


class _Decrypt(Protocol):
    """The part of `http_ece`, which speaks Mozilla's dialects, that is used."""

    def decrypt(
        self, content: bytes, *, private_key: ec.EllipticCurvePrivateKey, auth_secret: bytes, version: str
    ) -> bytes: ...


class BrowserDouble(VendorDouble):
    """The state of one browser. `arrived` has `subscription`, `headers` and `content`.

    `origin`: where its push service is, as claims must say it. `application_key`: the public key that it subscribed to
    ("": any). `gone`: subscriptions that are dead. `authorizations`: all that came and could be read.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__()
        self._clock = clock or StoreClock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._numbers = itertools.count(1)
        self.application_key = ""
        self.origin = ""
        self.gone: set[str] = set()
        self.authorizations: set[str] = set()

    def subscribe(self) -> str:
        """A new subscription, as `PushSubscription.toJSON()` gives it."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _encode(point), "auth": _encode(_SECRET)}
        endpoint = f"{self.origin}/push/{next(self._numbers)}"
        return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": keys})

    def _answer(self, request: HttpRequest) -> HttpReply:
        subscription = urlsplit(request.url).path.rpartition("/")[2]
        if subscription in self.gone:
            raise Rejected(410, "gone", {"errno": 106})
        if status := self._check(request):
            raise Rejected(status, f"status {status}", {"errno": 109})
        # Named at run time, because it has no types of its own.
        plain = cast("_Decrypt", importlib.import_module("http_ece")).decrypt(
            request.body, private_key=self._key, auth_secret=_SECRET, version="aes128gcm"
        )
        headers = {name.lower(): value for name, value in request.headers.items()}
        self._take({"subscription": subscription, "headers": headers, "content": msgspec.json.decode(plain)})
        return HttpReply(201, {"location": f"{self.origin}/message/{self.taken}"}, b"")

    def _check(self, request: HttpRequest) -> int:
        """The status of a refusal; 0: there is nothing to refuse."""
        if request.method != "POST" or not header(request, "ttl").isdigit():
            return 400
        if header(request, "content-encoding") != "aes128gcm" or not header(request, "content-type"):
            return 400
        if header(request, "urgency") not in _URGENCIES:
            return 400
        topic = header(request, "topic")
        if topic and not _TOPIC.fullmatch(topic):
            return 400
        if len(request.body) > _MAX_BODY:
            return 413
        return self._check_sender(header(request, "authorization"))

    def _check_sender(self, authorization: str) -> int:
        found = _VAPID.fullmatch(authorization)
        if found is None:
            return 401
        self.authorizations.add(authorization)
        token, public_key = found.groups()
        if self.application_key and public_key != self.application_key:
            return 403
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decode(public_key))
            claims = jwt.decode(token, ECKey.import_key(point), algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            return 403
        left_s = float(claims["exp"]) - self._clock.now_ms() / 1000
        is_right = claims["aud"] == self.origin and 0 < left_s <= _DAY_S
        return 0 if is_right and str(claims["sub"]).startswith(("mailto:", "https:")) else 403


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
