"""One sealed thing: a format byte, a random nonce, ciphertext and tag."""

from __future__ import annotations

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clarion.kernel.errors import Permanent

FORMAT: Final = b"\x01"
NONCE_BYTES: Final = 12
"""Random: one key may seal 2^32 things. A user's seals her changes, the master key one thing a user."""

_OVERHEAD: Final = len(FORMAT) + NONCE_BYTES


def seal(key: bytes, clear: bytes, context: bytes) -> bytes:
    """`clear` under a 32-byte key, bound to `context`."""
    nonce = os.urandom(NONCE_BYTES)
    return FORMAT + nonce + AESGCM(key).encrypt(nonce, clear, context)


class Cipher:
    """One key that seals many things: `seal` with the key prepared once, which is a third of what it costs."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, clear: bytes, context: bytes) -> bytes:
        """`clear`, bound to `context`; see `seal`."""
        nonce = os.urandom(NONCE_BYTES)
        return FORMAT + nonce + self._cipher.encrypt(nonce, clear, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Inverse of `seal`. Raises Permanent: another key, another context, damage, or a format of a later release."""
    if sealed[:1] != FORMAT:
        detail = "what is sealed has an unknown format"
        raise Permanent(detail)
    try:
        return AESGCM(key).decrypt(sealed[1:_OVERHEAD], sealed[_OVERHEAD:], context)
    except (InvalidTag, ValueError) as exc:
        detail = "what is sealed does not open with this key in this place"
        raise Permanent(detail) from exc
