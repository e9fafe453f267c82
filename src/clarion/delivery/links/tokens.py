"""Signed tokens: all that a link of ours says, so that nobody has to look anything up to follow it.

Binary, then base64url without padding (which never needs any where there is no detail: 60 bytes are 80 characters):

    1 kind | 1 key | 2 day | 16 tenant | 16 delivery | 8 user | detail, UTF-8 | 16 HMAC-SHA256, cut

A token is signed, not sealed: whoever has it can read it. `detail` is the target of a click, the category of an
unsubscribing, or the channel and category to be confirmed (where the delivery's id is that of the request). `kind` is
part of what is signed: no token does the work of another kind.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

VALID_DAYS: Final = 400
"""How many whole days a token is good for. CAN-SPAM asks for 30 of an unsubscribe link, CASL for 60."""

CONFIRM_DAYS: Final = 30
"""As long may she take to confirm what she asked for."""

MAX_DETAIL_BYTES: Final = 2_048
"""Longest detail. A link that is longer is left as its author wrote it."""

DAY_MS: Final = 86_400_000

_DAY_BYTES: Final = 2
_ID_BYTES: Final = 16
_USER_BYTES: Final = 8
_MAC_BYTES: Final = 16
"""128 bits: who tries a million forgeries a second finds one in 10²⁵ years."""

_DETAIL_AT: Final = 2 + _DAY_BYTES + 2 * _ID_BYTES + _USER_BYTES
_LEAST_BYTES: Final = _DETAIL_AT + _MAC_BYTES
_MAX_CHARS: Final = (_LEAST_BYTES + MAX_DETAIL_BYTES) * 4 // 3 + 1


class LinkKind(IntEnum):
    """What a token is for."""

    CLICK = 1
    OPEN = 2
    UNSUBSCRIBE = 3
    PREFERENCES = 4
    CONFIRM = 5


class LinkKeys(msgspec.Struct, frozen=True):
    """The keys by their numbers (0 to 255), 32 bytes each. `current` signs; all of them are accepted."""

    current: int
    by_number: Mapping[int, bytes]


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """To whom a message went: 16 bytes of tenant and of delivery, and Clarion's own number of the user."""

    tenant_id: bytes
    delivery_id: bytes
    user_id: int


class Claim(msgspec.Struct, frozen=True, gc=False):
    """What a token says. Somebody with our key wrote it, for this recipient, within the last VALID_DAYS."""

    recipient: Recipient
    detail: str


class TokenSigner:
    """Makes tokens and reads them. Pure; a token costs about 3 µs either way."""

    def __init__(self, keys: LinkKeys) -> None:
        self._keys = keys
        self._current = keys.by_number[keys.current]
        self._number = keys.current.to_bytes(1, "big")

    def head(self, recipient: Recipient, now_ms: int) -> bytes:
        """What all tokens of one message have in common, for `sign`."""
        return b"%b%b%b%b%b" % (
            self._number,
            (now_ms // DAY_MS).to_bytes(_DAY_BYTES, "big"),
            recipient.tenant_id,
            recipient.delivery_id,
            recipient.user_id.to_bytes(_USER_BYTES, "big"),
        )

    def sign(self, kind: LinkKind, head: bytes, detail: bytes = b"") -> str:
        """A token. `detail` is UTF-8 of at most MAX_DETAIL_BYTES; longer ones are signed, and never accepted."""
        said = b"%c%b%b" % (kind, head, detail)
        mac = hmac.digest(self._current, said, "sha256")
        return _encode(said + mac[:_MAC_BYTES])

    def read(self, kind: LinkKind, token: str, now_ms: int) -> Claim | None:
        """What a token of this kind says; None where it is none of ours, of another kind, altered, or expired."""
        raw = _decode(token)
        if raw is None or raw[0] != kind:
            return None
        key = self._keys.by_number.get(raw[1])
        said, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if key is None or not hmac.compare_digest(mac, hmac.digest(key, said, "sha256")[:_MAC_BYTES]):
            return None
        day = int.from_bytes(raw[2 : 2 + _DAY_BYTES], "big")
        # One day ahead is no forgery: the process that signed may be past midnight already.
        valid_days = CONFIRM_DAYS if kind is LinkKind.CONFIRM else VALID_DAYS
        if not -1 <= now_ms // DAY_MS - day <= valid_days:
            return None
        ids = said[2 + _DAY_BYTES : _DETAIL_AT]
        recipient = Recipient(
            ids[:_ID_BYTES], ids[_ID_BYTES : 2 * _ID_BYTES], int.from_bytes(ids[2 * _ID_BYTES :], "big")
        )
        return Claim(recipient, said[_DETAIL_AT:].decode())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes | None:
    """The bytes of a token; None where it is not exactly what `_encode` writes (its last bits could be anything)."""
    if len(token) > _MAX_CHARS or not token.isascii():
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) >= _LEAST_BYTES and _encode(raw) == token else None
