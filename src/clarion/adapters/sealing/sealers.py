"""The sealer of users' data keys and profiles."""

from __future__ import annotations

import hmac
import os
from typing import Final

from clarion.adapters.sealing import aead
from clarion.adapters.sealing.master_key import KEY_BYTES, NUMBER_BYTES, MasterKey
from clarion.kernel.errors import Permanent

BLIND_BYTES: Final = 16
"""128 bits: two values meet by chance after 2^64 of them."""


class AesSealer:
    """`audience.ports.Sealer`. A wrapped key begins with the number of the master key that wrapped it.

    `previous` unwraps, too, while keys wrapped by it are left. `root`: what look-ups are blinded with; the master key
    that the region began with, for blinded values are compared with those of years ago. None: the master key.
    """

    def __init__(
        self, master: MasterKey, previous: MasterKey | None = None, root: MasterKey | None = None
    ) -> None:
        self._number = master.number
        self._wrapping = {key.number: key.derive("subject-keys") for key in (master, previous or master)}
        self._wrapper = aead.Cipher(self._wrapping[master.number])
        self._blinding = (root or master).derive("look-up")

    @property
    def number(self) -> bytes:
        """The master key's number."""
        return self._number

    def new_key(self) -> bytes:
        """A fresh data key of 32 bytes."""
        return os.urandom(KEY_BYTES)

    def wrap(self, user_id: int, key: bytes) -> bytes:
        """A data key under the master key, for this user."""
        return self._number + self._wrapper.seal(key, user_id.to_bytes(8, "big"))

    def unwrap(self, user_id: int, wrapped: bytes) -> bytes:
        """Inverse of `wrap`; see `Sealer.unwrap`."""
        key = self._wrapping.get(wrapped[:NUMBER_BYTES])
        if key is None:
            raise Permanent(
                f"the key was wrapped under the master key {wrapped[:NUMBER_BYTES].hex()}, not {self._number.hex()}"
            )
        return aead.unseal(key, wrapped[NUMBER_BYTES:], user_id.to_bytes(8, "big"))

    def rewrap(self, user_id: int, wrapped: bytes) -> bytes:
        """A data key under the present master key; see `Rewrapper.rewrap`."""
        return self.wrap(user_id, self.unwrap(user_id, wrapped))

    def seal(self, key: bytes, clear: bytes, context: bytes) -> bytes:
        """`clear` under a data key, bound to `context`."""
        return aead.seal(key, clear, context)

    def unseal(self, key: bytes, sealed: bytes, context: bytes) -> bytes:
        """Inverse of `seal`; see `Sealer.unseal`."""
        return aead.unseal(key, sealed, context)

    def blind(self, tenant_id: bytes, value: bytes) -> bytes:
        """HMAC-SHA256 of tenant and value, cut to 16 bytes."""
        return hmac.digest(self._blinding, tenant_id + value, "sha256")[:BLIND_BYTES]
