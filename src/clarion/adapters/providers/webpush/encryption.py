"""Encrypting a message so that only its browser can read it: RFC 8291 over `aes128gcm` of RFC 8188, one record."""

from __future__ import annotations

import os
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES: Final = 4096
"""The largest body that every push service takes (RFC 8291, section 4)."""
SALT_BYTES: Final = 16
_POINT_BYTES: Final = 65
_HEADER_BYTES: Final = SALT_BYTES + 4 + 1 + _POINT_BYTES
_LAST_RECORD: Final = b"\x02"
_TAG_BYTES: Final = 16
MAX_PLAIN: Final = RECORD_BYTES - _HEADER_BYTES - len(_LAST_RECORD) - _TAG_BYTES
"""3 993 bytes of a message."""


def read_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """A browser's public key. Raises ValueError where it is no point of the curve P-256."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def encrypt(plain: bytes, receiver: ec.EllipticCurvePublicKey, secret: bytes) -> bytes:
    """The body of a request: `plain`, of at most MAX_PLAIN bytes, under a key of this message alone.

    `receiver` and `secret` are the subscription's keys, `p256dh` and `auth`.
    """
    return seal(plain, receiver, secret, ec.generate_private_key(ec.SECP256R1()), os.urandom(SALT_BYTES))


def seal(
    plain: bytes,
    receiver: ec.EllipticCurvePublicKey,
    secret: bytes,
    sender: ec.EllipticCurvePrivateKey,
    salt: bytes,
) -> bytes:
    """As `encrypt`, with what is random in it: `sender`'s key and `salt` must never be used again."""
    own = _encode(sender.public_key())
    shared = sender.exchange(ec.ECDH(), receiver)
    info = b"WebPush: info\0" + _encode(receiver) + own
    keying = _derive(secret, shared, info, 32)
    key = _derive(salt, keying, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, keying, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD_BYTES.to_bytes(4) + len(own).to_bytes(1) + own
    return header + AESGCM(key).encrypt(nonce, plain + _LAST_RECORD, None)


def _derive(salt: bytes, keying: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(keying)


def _encode(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
