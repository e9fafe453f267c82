"""Encrypting for a browser: what the RFC's own example says, and what another's code can read."""

from __future__ import annotations

import importlib
from base64 import urlsafe_b64decode
from typing import Protocol, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.adapters.providers.webpush.encryption import MAX_PLAIN, RECORD_BYTES, encrypt, read_point, seal


class Ece(Protocol):
    """The part of `http_ece` that is used; it has no types of its own."""

    def decrypt(
        self, content: bytes, *, private_key: ec.EllipticCurvePrivateKey, auth_secret: bytes, version: str
    ) -> bytes: ...


MODULE = importlib.import_module("http_ece")
ECE = cast("Ece", MODULE)
UNREADABLE = cast("type[Exception]", MODULE.ECEException)
BROWSER = ec.derive_private_key(4711, ec.SECP256R1())
SECRET = b"0123456789abcdef"


def decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_rfc_8291_comes_out_to_the_byte() -> None:
    """RFC 8291, section 5 and appendix A."""
    sender = ec.derive_private_key(
        int.from_bytes(decode("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1()
    )
    receiver = read_point(
        decode("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4")
    )
    secret, salt = decode("BTBZMqHH6r4Tts7J_aSIgg"), decode("DGv6ra1nlYgDCS1FRnbzlw")
    body = seal(b"When I grow up, I want to be a watermelon", receiver, secret, sender, salt)
    assert body == decode(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg"
        "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


@given(st.binary(max_size=MAX_PLAIN))
@settings(max_examples=50, deadline=None)
def test_whatever_is_encrypted_another_can_read(plain: bytes) -> None:
    body = encrypt(plain, BROWSER.public_key(), SECRET)
    assert ECE.decrypt(body, private_key=BROWSER, auth_secret=SECRET, version="aes128gcm") == plain
    assert len(body) <= RECORD_BYTES


def test_the_largest_message_fills_a_record() -> None:
    assert len(encrypt(b"x" * MAX_PLAIN, BROWSER.public_key(), SECRET)) == RECORD_BYTES


def test_nothing_repeats() -> None:
    """A key and salt that come twice would give the content away."""
    bodies = {encrypt(b"same", BROWSER.public_key(), SECRET) for _ in range(20)}
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 20


def test_another_browser_reads_nothing() -> None:
    body = encrypt(b"secret", BROWSER.public_key(), SECRET)
    other = ec.derive_private_key(4712, ec.SECP256R1())
    with pytest.raises(UNREADABLE, match="InvalidTag"):
        ECE.decrypt(body, private_key=other, auth_secret=SECRET, version="aes128gcm")
