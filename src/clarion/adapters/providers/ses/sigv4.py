"""Signature Version 4, for requests with a JSON body and no query.

Deriving the key takes four HMACs, and it is the same all day: with that kept, a signature takes 10 µs instead of
botocore's 250.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

SERVICE: Final = "ses"
_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class AwsKey(msgspec.Struct, frozen=True):
    """An access key. `session_token`: of temporary credentials ("": it is a user's)."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


class Signer:
    """Signs for one key and region."""

    def __init__(self, key: AwsKey, region: str) -> None:
        self._key = key
        self._region = region
        self._day = ""
        self._day_key = b""

    def sign(self, url: str, body: bytes, now_ms: int) -> Mapping[str, str]:
        """The headers of a POST of `body` to `url` at `now_ms` (UTC ms), which AWS believes for five minutes."""
        at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{at[:8]}/{self._region}/{SERVICE}/aws4_request"
        parts = urlsplit(url)
        signed = {"content-type": "application/json", "host": _host(parts.scheme, parts.hostname, parts.port)}
        signed["x-amz-date"] = at
        if self._key.session_token:
            signed["x-amz-security-token"] = self._key.session_token
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        # AWS encodes the path once more than HTTP does, for every service but S3.
        path = quote(parts.path, safe="/-_.~") or "/"
        request = f"POST\n{path}\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{at}\n{scope}\n{digest}"
        signature = hmac.digest(self._key_of(at[:8]), text.encode(), "sha256").hex()
        del signed["host"]  # the transport's to write
        credential = f"{self._key.access_key_id}/{scope}"
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        )
        return signed

    def _key_of(self, day: str) -> bytes:
        if day != self._day:
            key = f"AWS4{self._key.secret_access_key}".encode()
            for step in (day, self._region, SERVICE, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._day, self._day_key = day, key
        return self._day_key


def _host(scheme: str, host: str | None, port: int | None) -> str:
    """As in the `Host` header: without the port that everybody knows."""
    name = f"[{host}]" if host and ":" in host else host or ""
    return name if port is None or port == _DEFAULT_PORTS.get(scheme) else f"{name}:{port}"
