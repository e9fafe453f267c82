"""API keys without a store: their shape, their checksum, what they may do."""

from __future__ import annotations

import re
import zlib
from typing import NoReturn

import pytest

from clarion.kernel.errors import Refused
from clarion.tenancy.api_keys import KEY_BYTES, authenticate, mint_key, parse_key, require_scope
from clarion.tenancy.model import Principal

CHANCE = bytes(range(KEY_BYTES))


class NoStore:
    """A store that nobody may ask."""

    async def find_key(self, key_hash: bytes) -> NoReturn:
        pytest.fail(f"the store was asked for {key_hash.hex()}")


def test_a_key_has_the_shape_that_scanners_look_for():
    for environment in ("live", "test"):
        minted = mint_key(environment, CHANCE)
        assert re.fullmatch(rf"ck_{environment}_[0-9A-Za-z]{{33}}", minted.text)
        assert (minted.environment, minted.last_four) == (environment, minted.text[-4:])


def test_a_key_is_known_again_by_its_hash():
    minted = mint_key("live", CHANCE)
    parsed = parse_key(minted.text)
    assert parsed is not None
    assert (parsed.environment, parsed.key_hash) == ("live", minted.key_hash)
    assert len(minted.key_hash) == 32
    assert mint_key("test", CHANCE).key_hash != minted.key_hash


def test_a_key_does_not_show_itself():
    minted = mint_key("live", CHANCE)
    assert minted.text not in f"{minted!r} {minted}"


@pytest.mark.parametrize("chance", [b"", bytes(19), bytes(21)])
def test_a_key_is_made_of_160_bits(chance: bytes):
    with pytest.raises(ValueError, match="20 random bytes"):
        mint_key("live", chance)


def test_extreme_chances_make_whole_keys():
    for chance in (bytes(KEY_BYTES), b"\xff" * KEY_BYTES):
        assert parse_key(mint_key("live", chance).text) is not None


async def test_what_is_no_key_is_refused_without_asking_a_store():
    text = mint_key("live", CHANCE).text
    wrong = [
        "",
        "ck_live_",
        text[:-1],
        text + "a",
        f" {text}",
        f"{text}\n",
        text.upper(),
        text.replace("live", "test"),
        text.replace("ck_", "sk_"),
        text[:8] + "!" + text[9:],
        "é" * len(text),
    ]
    too_large = f"ck_live_{'z' * 27}"
    wrong.append(too_large + _base62(zlib.crc32(too_large.encode())))
    for one in wrong:
        assert parse_key(one) is None, one
        assert await authenticate(one, NoStore()) is None


def test_every_single_mistyped_letter_is_noticed():
    text = mint_key("live", CHANCE).text
    for place in range(len("ck_live_"), len(text)):
        for letter in "0aZ":
            if text[place] != letter:
                assert parse_key(text[:place] + letter + text[place + 1 :]) is None


def test_scopes():
    def principal(*scopes: str) -> Principal:
        return Principal(bytes(16), "k", "live", frozenset(scopes))

    require_scope(principal("users:read"), "users:read")
    require_scope(principal("*"), "users:write")
    for scopes in ((), ("users:read",), ("notifications:write",)):
        with pytest.raises(Refused) as caught:
            require_scope(principal(*scopes), "users:write")
        assert caught.value.rule == "scope"
        assert "users:write" in caught.value.detail


def _base62(number: int) -> str:
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    return "".join(letters[number // 62**i % 62] for i in reversed(range(6)))
