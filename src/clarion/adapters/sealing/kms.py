"""Key services: the master key itself, and several of them while one takes the place of another."""

from __future__ import annotations

from collections.abc import Sequence

from clarion.adapters.sealing import aead
from clarion.adapters.sealing.master_key import NUMBER_BYTES, MasterKey
from clarion.kernel.errors import Permanent
from clarion.tenancy.secrets import Kms


class LocalKms:
    """`tenancy.secrets.Kms` in this process: wraps with a key that follows from a master key."""

    def __init__(self, master: MasterKey) -> None:
        self._number = master.number
        self._key = master.derive("tenant-keys")

    @property
    def number(self) -> bytes:
        """The master key's number."""
        return self._number

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """A key, wrapped; see `Kms.wrap`."""
        return self._number + aead.seal(self._key, key, context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Inverse of `wrap`; see `Kms.unwrap`."""
        if not wrapped.startswith(self._number):
            raise Permanent(f"the key was wrapped under {_named(wrapped)}, not {self._number.hex()}")
        return aead.unseal(self._key, wrapped[NUMBER_BYTES:], context)


class KmsRing:
    """`tenancy.secrets.Kms` of several services: the first wraps, each unwraps what it wrapped."""

    def __init__(self, services: Sequence[Kms]) -> None:
        self._first = services[0]
        self._by_number = {service.number: service for service in reversed(services)}

    @property
    def number(self) -> bytes:
        """The number of the first."""
        return self._first.number

    async def wrap(self, key: bytes, context: bytes) -> bytes:
        """A key, wrapped by the first service."""
        return await self._first.wrap(key, context)

    async def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """A key, unwrapped by the service that wrapped it. Raises Permanent where none of these did."""
        service = self._by_number.get(wrapped[:NUMBER_BYTES])
        if service is None:
            raise Permanent(f"the key was wrapped under {_named(wrapped)}, which is not at hand")
        return await service.unwrap(wrapped, context)


def _named(wrapped: bytes) -> str:
    return f"the master key {wrapped[:NUMBER_BYTES].hex()}"
