"""Where an account's calls go."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from clarion.kernel.errors import Invalid

Url = Annotated[str, Meta(pattern=r"\A(https?://[^\s/?#@]+(/[^\s?#]*)?)?\Z", max_length=2000)]
"""`settings.base_url`: an absolute address without login, query and fragment; "" for the vendor's usual one."""

Secret = Annotated[str, Meta(min_length=1, pattern=r"\A[\x21-\x7e]+\Z")]
"""A credential that goes into a header of HTTP: printable ASCII."""


def endpoint_of(base_url: str, usual: str) -> str:
    """Where calls go, without a slash at the end.

    Raises Invalid for an address without TLS that is not this machine's: credentials would be in the open.
    """
    url = base_url or usual
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname or ""):
        raise Invalid("credentials need an encrypted connection: https", "settings.base_url")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
