"""Signatures that anybody can check: Ed25519, with a key that follows from the master key."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from clarion.adapters.sealing.master_key import MasterKey


class Ed25519Signer:
    """Signs for one purpose: a signature for another does not hold for it."""

    def __init__(self, master: MasterKey, purpose: str) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(master.derive(f"signature.{purpose}"))
        self._public_key = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def public_key(self) -> bytes:
        """The public key, 32 bytes."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(message)


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the owner of a public key signed this. What is no key or no signature did not."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
