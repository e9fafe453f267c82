"""dkimpy, which is not ours, finds what we signed to be sound, and nothing else."""

from __future__ import annotations

import base64
import importlib
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.adapters.providers.smtp.dkim import (
    DkimSettings,
    DkimSigner,
    SigningKey,
    read_signing_key,
    relaxed_body,
)
from clarion.adapters.providers.smtp.mime import Letterhead
from clarion.delivery.model import Message
from clarion.kernel.errors import Invalid

DKIM: Any = importlib.import_module("dkim")  # it has no types
AT_MS = 1_800_000_000_000
SETTINGS = DkimSettings("shop.example", "Key1")
RSA = generate_private_key(65537, 2048)
ED25519 = Ed25519PrivateKey.generate()
LETTERHEAD = Letterhead("Shöp & Co <news@shop.example>", "help@shop.example")

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=300)
bodies = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), max_size=6).map("\n".join)


def letter(subject: str = "Hi", text: str = "Hello", html: str = "", **headers: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    message = Message(
        bytes(16),
        bytes(16),
        "email",
        1,
        "ada@example.org",
        subject=subject,
        html=html,
        text=text,
        headers=named,
    )
    return LETTERHEAD.compose(message, AT_MS).text


def signed(raw: bytes, key: SigningKey = RSA) -> bytes:
    return DkimSigner(SETTINGS, key).sign(raw)


def is_sound(raw: bytes) -> bool:
    """Whether dkimpy verifies a letter that RSA signed."""
    public = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        del timeout
        return record if name == b"key1._domainkey.shop.example." else b""

    return bool(DKIM.verify(raw, dnsfunc=look_up, minkey=2048))


class _Public:
    """An Ed25519 key as dkimpy calls it. Its own way to one is a library that we do without."""

    def verify(self, said: bytes, signature: bytes) -> None:
        ED25519.public_key().verify(signature, said)


def is_sound_ed25519(raw: bytes) -> bool:
    verifier = DKIM.DKIM(raw)
    verifier.pk, verifier.ktag, verifier.keysize = _Public(), b"ed25519", 256
    header = verifier.headers[0]
    sig = DKIM.util.parse_tag_value(header[1])
    names = [name.strip().lower() for name in sig[b"h"].split(b":")]
    assert sig[b"a"] == b"ed25519-sha256"
    return bool(verifier.verify_sig_process(sig, names, header, None))


@settings(max_examples=60)
@given(words, bodies.filter(str.strip), bodies)
def test_what_we_sign_is_sound(subject: str, text: str, html: str):
    raw = letter(subject.replace("\n", " "), text, html, List_Unsubscribe="<https://t.example/u/x>")
    assert is_sound(signed(raw))
    assert is_sound_ed25519(signed(raw, ED25519))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: Hi", b"Subject: Hi!"),
        (b"To: <ada@", b"To: <eve@"),
        (b"<https://t.example/u/x>", b"<https://t.example/u/y>"),
        (b"List-Unsubscribe-Post", b"X-List-Unsubscribe-Post"),
        (b"Message-ID: <", b"Message-ID: <0"),
        (b"Date: ", b"Date: Tue, 1 Jan 2019 00:00:00 +0000\r\nX-Date: "),
        (b"Hello", b"Hullo"),
        (b"From: ", b"From: eve@evil.example\r\nFrom: "),
    ],
)
def test_what_was_changed_on_the_way_is_not(before: bytes, after: bytes):
    raw = signed(
        letter(List_Unsubscribe="<https://t.example/u/x>", List_Unsubscribe_Post="List-Unsubscribe=One-Click")
    )
    assert is_sound(raw)
    # Behind the signature's own header: that one names the headers, too.
    start = raw.index(b"\r\nFrom:")
    changed = raw[:start] + raw[start:].replace(before, after, 1)
    assert changed != raw
    assert not is_sound(changed)


def test_what_relays_do_to_white_space_breaks_nothing():
    raw = signed(letter("A subject  with spaces", "One  two \nthree\t\tfour\n\n\n"))
    assert is_sound(raw)
    assert is_sound(raw.replace(b"Subject: A subject ", b"SUBJECT:   A subject\r\n "))
    assert is_sound(raw + b"\r\n\r\n")


def test_the_signature_names_what_readers_act_on():
    raw = signed(letter(List_Unsubscribe="<https://t.example/u/x>"), ED25519)
    head = re.sub(rb"\s+", b"", raw.partition(b"\r\nFrom:")[0]).decode()
    assert head.startswith("DKIM-Signature:v=1;a=ed25519-sha256;c=relaxed/relaxed;d=shop.example;s=key1;")
    assert "h=from:reply-to:to:subject:date:message-id:mime-version:content-type:" in head
    assert "list-unsubscribe:from;bh=" in head
    assert max(map(len, raw.partition(b"\r\nFrom:")[0].split(b"\r\n"))) <= 78


@given(st.text(st.sampled_from("a \t\r\n"), max_size=60))
def test_a_body_is_hashed_as_dkimpy_hashes_it(text: str):
    body = re.sub("\r\n|\r|\n", "\r\n", text).encode() + b"\r\n"
    canonical: Any = DKIM.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed").canonicalize_body
    assert relaxed_body(body) == canonical(body)


def pem(key: PrivateKeyTypes) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_key_in_pem_signs_as_the_key_itself():
    raw = letter()
    assert signed(raw, read_signing_key(pem(RSA))) == signed(raw)
    assert signed(raw, read_signing_key(pem(ED25519))) == signed(raw, ED25519)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(pem(generate_private_key(65537, 1024)), id="rsa-1024"),  # noqa: S505  to be refused
        pytest.param(pem(generate_ec_key(SECP256R1())), id="elliptic-curve"),
        pytest.param(
            RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
            id="with-password",
        ),
        pytest.param(
            RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
            id="public",
        ),
        pytest.param("", id="nothing"),
        pytest.param("not a key \ud800", id="not-pem"),
    ],
)
def test_other_keys_are_refused_without_a_word_of_them(text: str):
    with pytest.raises(Invalid) as refusal:
        read_signing_key(text)
    assert refusal.value.path == "credentials.dkim_key"
    assert "BEGIN" not in refusal.value.detail
