"""Where a request goes to: the host of a URL, and what is asked of it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from clarion.adapters.providers.base import Unsendable

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HIGHEST_PORT: Final = 65_535
_URL: Final = re.compile(r"(https?)://([^/?#\s]+)([!-\"$-~]*)", re.ASCII)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?", re.ASCII)


class Origin(msgspec.Struct, frozen=True):
    """Whom connections are kept with. `host` without brackets; `authority` as the Host header has it."""

    host: str
    port: int
    encrypted: bool
    authority: str


def split_url(url: str) -> tuple[Origin, str]:
    """The origin of an absolute URL, and what is asked of it (path and query).

    Raises Unsendable on what is no such URL: a name in another script is to be in its ASCII form, and user names and
    fragments have no place in one.
    """
    parts = _URL.fullmatch(url)
    if parts is None:
        raise _malformed()
    scheme, authority, target = parts.groups()
    return _origin(scheme, authority), target if target.startswith("/") else f"/{target}"


@lru_cache(maxsize=1024)
def _origin(scheme: str, authority: str) -> Origin:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _malformed()
    default = _DEFAULT_PORTS[scheme]
    host, port = parts[1].strip("[]").lower(), int(parts[2] or default)
    if not 0 < port <= _HIGHEST_PORT:
        raise _malformed()
    bare = parts[1].lower()
    return Origin(host, port, scheme == "https", bare if port == default else f"{bare}:{port}")


def _malformed() -> Unsendable:
    return Unsendable("the vendor's address is no absolute URL in ASCII", "malformed_url")
