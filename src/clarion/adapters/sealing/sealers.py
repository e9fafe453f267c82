"""The ports' sealers: users' data keys and profiles, and tenants' secrets."""

from __future__ import annotations

import hmac
import os
from typing import Final

from clarion.adapters.sealing import aead
from clarion.adapters.sealing.master_key import KEY_BYTES, MasterKey
from clarion.kernel.errors import Permanent

BLIND_BYTES: Final = 16
"""128 bits: two values meet by chance after 2^64 of them."""


class AesSealer:
    """`audience.ports.Sealer`. A wrapped key begins with the number of the master key that wrapped it."""

    def __init__(self, master: MasterKey) -> None:
        self._number = master.number
        self._wrapping = master.derive("subject-keys")
        self._wrapper = aead.Cipher(self._wrapping)
        self._blinding = master.derive("look-up")

    def new_key(self) -> bytes:
        """A fresh data key of 32 bytes."""
        return os.urandom(KEY_BYTES)

    def wrap(self, user_id: int, key: bytes) -> bytes:
        """A data key under the master key, for this user."""
        return self._number + self._wrapper.seal(key, user_id.to_bytes(8, "big"))

    def unwrap(self, user_id: int, wrapped: bytes) -> bytes:
        """Inverse of `wrap`; see `Sealer.unwrap`."""
        number = len(self._number)
        if wrapped[:number] != self._number:
            detail = (
                f"the key was wrapped under the master key {wrapped[:number].hex()}, not {self._number.hex()}"
            )
            raise Permanent(detail)
        return aead.unseal(self._wrapping, wrapped[number:], user_id.to_bytes(8, "big"))

    def seal(self, key: bytes, clear: bytes, context: bytes) -> bytes:
        """`clear` under a data key, bound to `context`."""
        return aead.seal(key, clear, context)

    def unseal(self, key: bytes, sealed: bytes, context: bytes) -> bytes:
        """Inverse of `seal`; see `Sealer.unseal`."""
        return aead.unseal(key, sealed, context)

    def blind(self, tenant_id: bytes, value: bytes) -> bytes:
        """HMAC-SHA256 of tenant and value, cut to 16 bytes."""
        return hmac.digest(self._blinding, tenant_id + value, "sha256")[:BLIND_BYTES]


class AesVault:
    """`tenancy.ports.Vault`."""

    def __init__(self, master: MasterKey) -> None:
        self._key = master.derive("tenant-secrets")

    def seal(self, tenant_id: bytes, name: str, clear: bytes) -> bytes:
        """`clear`, for this tenant and name."""
        return aead.seal(self._key, clear, tenant_id + name.encode())

    def unseal(self, tenant_id: bytes, name: str, sealed: bytes) -> bytes:
        """Inverse of `seal`; see `Vault.unseal`."""
        return aead.unseal(self._key, sealed, tenant_id + name.encode())
