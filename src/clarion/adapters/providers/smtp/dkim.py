"""DKIM signatures (RFC 6376, with Ed25519 by RFC 8463): relaxed/relaxed, one a letter.

Our own, because dkimpy takes twenty times as long; what we sign, dkimpy verifies in our tests. The letter must be
canonical (every line ends with CRLF), as `mime.Letterhead` writes it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Annotated, Final, TypeAlias

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta

from clarion.kernel.errors import Invalid

SigningKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
DnsName: TypeAlias = Annotated[
    str,
    Meta(pattern=r"\A(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_-]{1,63})*\Z"),
]

RSA_BITS: Final = (2048, 4096)
"""Shorter keys are refused by receivers, longer ones do not fit into what they must support (RFC 8301)."""

SIGNED: Final = (
    b"from",
    b"reply-to",
    b"to",
    b"subject",
    b"date",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
)
"""Headers that are signed where a letter has them: those that a reader sees or acts on (RFC 8058 asks for the last)."""

OVERSIGNED: Final = b"from"
"""Named once more than it is there: a second one, put in on the way, breaks the signature."""

_HEADER: Final = re.compile(rb"([^\s:]+)[ \t]*:((?:[^\r]|\r\n[ \t])*+)\r\n")
_FOLD: Final = re.compile(rb"\r\n(?=[ \t])")
_SPACE: Final = re.compile(rb"[ \t]+")
_LINE: Final = 72
_BETWEEN: Final = b"\r\n\r\n"


class DkimSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `dkim` of an SMTP account's settings: the key's public half is at `SELECTOR._domainkey.DOMAIN`."""

    domain: DnsName
    selector: DnsName


class DkimSigner:
    """Signs letters for one domain. The key is read once."""

    def __init__(self, settings: DkimSettings, key: SigningKey) -> None:
        self._key = key
        algorithm = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
        self._tags = (
            f"v=1; a={algorithm}; c=relaxed/relaxed; d={settings.domain.lower()};\r\n"
            f" s={settings.selector.lower()};"
        ).encode()

    def sign(self, letter: bytes) -> bytes:
        """The letter with a signature before it.

        It does not say when: a receiver whose clock is behind ours may refuse what was signed in its future.
        """
        head, _, body = letter.partition(_BETWEEN)
        signed, names = _signed_headers(head + b"\r\n")
        body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest())
        unsigned = b"DKIM-Signature: %b\r\n h=%b;\r\n bh=%b;\r\n b=" % (
            self._tags,
            _fold_names(names),
            body_hash,
        )
        # The header of the signature itself is part of what is signed, without its last line break.
        said = signed + b"dkim-signature:" + _relaxed(unsigned.partition(b":")[2])
        return unsigned + _fold(base64.b64encode(self._sign(said))) + b"\r\n" + letter

    def _sign(self, said: bytes) -> bytes:
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(said, PKCS1v15(), hashes.SHA256())
        return self._key.sign(hashlib.sha256(said).digest())


def read_signing_key(pem: str) -> SigningKey:
    """A private key in PEM: RSA of 2048 to 4096 bits, or Ed25519. Raises Invalid without a word of it."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # UnicodeEncodeError is a ValueError
        raise Invalid("not a private key in PEM without a password", "credentials.dkim_key") from None
    if isinstance(key, Ed25519PrivateKey):
        return key
    if not isinstance(key, RSAPrivateKey) or not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        raise Invalid("DKIM signs with RSA of 2048 to 4096 bits, or with Ed25519", "credentials.dkim_key")
    return key


def relaxed_body(body: bytes) -> bytes:
    """A body as it is hashed (RFC 6376, 3.4.4): runs of white space are one space, none is at the end of a line."""
    # Most bodies have no run of white space: finding that out is ten times as fast as replacing.
    if b"  " in body or b"\t" in body:
        body = _SPACE.sub(b" ", body)
    text = body.replace(b" \r\n", b"\r\n").rstrip(b" \r\n")
    return text + b"\r\n" if text else b""


def _signed_headers(head: bytes) -> tuple[bytes, list[bytes]]:
    """The headers to sign, in their canonical form, and their names, as `h=` lists them."""
    found = {name.lower(): value for name, value in _HEADER.findall(head)}
    names = [name for name in SIGNED if name in found]
    lines = b"".join(b"%b:%b\r\n" % (name, _relaxed(found[name])) for name in names)
    return lines, [*names, OVERSIGNED]


def _relaxed(value: bytes) -> bytes:
    return _SPACE.sub(b" ", _FOLD.sub(b"", value)).strip(b" \t")


def _fold(value: bytes) -> bytes:
    """Base64 over several lines: white space in it means nothing."""
    return b"\r\n ".join(value[i : i + _LINE] for i in range(0, len(value), _LINE))


def _fold_names(names: list[bytes]) -> bytes:
    lines = [names[0]]
    for name in names[1:]:
        if len(lines[-1]) + len(name) < _LINE:
            lines[-1] += b":" + name
        else:
            lines[-1] += b":"
            lines.append(name)
    return b"\r\n ".join(lines)
