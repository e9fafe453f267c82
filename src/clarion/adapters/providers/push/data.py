"""Parts of a message in the form that push services take."""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Any, Final

import msgspec

_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")


def text_of(value: Any) -> str:  # noqa: ANN401  JSON
    """A value as text: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def topic_of(collapse_key: str) -> str:
    """A collapse key as a topic of Web Push: at most 32 characters of base64url (RFC 8030, section 5.4)."""
    if _TOPIC.fullmatch(collapse_key):
        return collapse_key
    return urlsafe_b64encode(hashlib.sha256(collapse_key.encode()).digest())[:32].decode()
