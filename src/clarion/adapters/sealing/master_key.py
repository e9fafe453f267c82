"""The master key, and what is derived from it. Each purpose has its own key: one that leaks opens nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from clarion.kernel.errors import Invalid

KEY_BYTES: Final = 32
NUMBER_BYTES: Final = 4


class MasterKey:
    """32 secret bytes, never shown. `number` names the key in what it sealed, and tells nothing about it."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            detail = f"the master key has {KEY_BYTES} bytes, not {len(secret)}"
            raise Invalid(detail, "master_key")
        self._secret = secret
        self.number = self.derive("number")[:NUMBER_BYTES]

    @classmethod
    def from_text(cls, text: str, name: str = "CLARION_MASTER_KEY") -> MasterKey:
        """A master key written in base64 (44 characters) or hexadecimal (64). Raises Invalid, naming the setting."""
        try:
            secret = (
                bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
            )
        except (ValueError, binascii.Error):
            secret = b""
        if len(secret) != KEY_BYTES:
            detail = f"{name} must be {KEY_BYTES} random bytes in base64 or hexadecimal"
            raise Invalid(detail, "master_key")
        return cls(secret)

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (RFC 5869): the same for the same master key, unrelated to those of another."""
        return HKDFExpand(SHA256(), KEY_BYTES, b"clarion.v1." + purpose.encode()).derive(self._secret)

    def reveal(self) -> bytes:
        """The key itself: to be wrapped by another, and for nothing else."""
        return self._secret

    def password(self, role: str) -> str:
        """A password for a database role that follows from this key: every process that has the key can connect."""
        return hashlib.sha256(self.derive(f"password.{role}")).hexdigest()

    def __repr__(self) -> str:
        """Without the key: this is what ends up in tracebacks and logs."""
        return f"MasterKey({self.number.hex()})"
