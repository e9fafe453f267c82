"""Sealing: what goes in comes out in its own place, and whatever is altered does not come out at all."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.audience.keyring import Keyring
from clarion.kernel.errors import Invalid, Permanent
from clarion.testing.subject_keys import InMemorySubjectKeys

MASTER = MasterKey(bytes(range(32)))
SEALER = AesSealer(MASTER)

keys = st.binary(min_size=32, max_size=32)
contexts = st.binary(max_size=64)
tenants = st.binary(min_size=16, max_size=16)
user_ids = st.integers(0, 2**63 - 1)


@given(keys, st.binary(max_size=2000), contexts)
def test_what_was_sealed_opens(key: bytes, clear: bytes, context: bytes):
    sealed = SEALER.seal(key, clear, context)
    assert SEALER.unseal(key, sealed, context) == clear
    assert SEALER.seal(key, clear, context) != sealed, "the same twice looks different"
    assert len(clear) < 8 or clear not in sealed


@given(keys, st.binary(max_size=200), contexts, contexts)
def test_in_another_place_it_does_not_open(key: bytes, clear: bytes, context: bytes, other: bytes):
    sealed = SEALER.seal(key, clear, context)
    if other != context:
        with pytest.raises(Permanent):
            SEALER.unseal(key, sealed, other)


@given(keys, st.binary(max_size=200), st.data())
def test_whatever_is_altered_does_not_open(key: bytes, clear: bytes, data: st.DataObject):
    sealed = bytearray(SEALER.seal(key, clear, b"here"))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Permanent):
        SEALER.unseal(key, bytes(sealed), b"here")


@given(keys, st.binary(max_size=60))
def test_what_was_never_sealed_does_not_open(key: bytes, noise: bytes):
    with pytest.raises(Permanent):
        SEALER.unseal(key, noise, b"")


@given(user_ids, user_ids)
def test_a_wrapped_key_is_its_users(user_id: int, other: int):
    key = SEALER.new_key()
    wrapped = SEALER.wrap(user_id, key)
    assert SEALER.unwrap(user_id, wrapped) == key
    assert key not in wrapped
    if other != user_id:
        with pytest.raises(Permanent):
            SEALER.unwrap(other, wrapped)
    with pytest.raises(Permanent, match="master key"):
        AesSealer(MasterKey(bytes(32))).unwrap(user_id, wrapped)


@given(tenants, tenants, st.binary(max_size=50), st.binary(max_size=50))
def test_blinding_tells_values_and_tenants_apart(tenant: bytes, other: bytes, value: bytes, second: bytes):
    assert SEALER.blind(tenant, value) == SEALER.blind(tenant, value)
    assert (SEALER.blind(tenant, value) == SEALER.blind(tenant, second)) == (value == second)
    assert (SEALER.blind(tenant, value) == SEALER.blind(other, value)) == (tenant == other)


@given(keys)
def test_a_master_key_is_read_in_base64_and_hexadecimal(secret: bytes):
    expected = MasterKey(secret).derive("x")
    assert MasterKey.from_text(base64.b64encode(secret).decode()).derive("x") == expected
    assert MasterKey.from_text(secret.hex()).derive("x") == expected
    assert secret.hex() not in repr(MasterKey(secret))


@given(st.text(max_size=80).filter(lambda text: len(text) not in {43, 44, 64}))
def test_other_texts_are_no_master_keys(text: str):
    with pytest.raises(Invalid, match="must be 32 random bytes in base64 or hexadecimal"):
        MasterKey.from_text(text)


def test_each_purpose_has_a_key_of_its_own():
    assert MASTER.derive("a") != MASTER.derive("b")
    assert MASTER.password("a") != MASTER.password("b")
    assert MASTER.password("a").isalnum()


@given(
    st.lists(
        st.tuples(st.sampled_from(["ensure", "read", "destroy elsewhere", "wait"]), st.integers(0, 5)),
        max_size=40,
    )
)
async def test_no_key_is_used_longer_than_its_time_to_live_after_its_end(steps: list[tuple[str, int]]):
    shelf, now = InMemorySubjectKeys(), [0.0]
    keyring = Keyring(shelf, SEALER, lambda: now[0], capacity=6, ttl_s=60)
    ended: dict[int, float] = {}
    for step, number in steps:
        if step == "wait":
            now[0] += 7 * number
        elif step == "ensure":
            key = (await keyring.ensure([number]))[number]
            assert key == SEALER.unwrap(number, shelf.kept[number]), (
                "for sealing, only the key that is stored"
            )
            ended.pop(number, None)
        elif step == "destroy elsewhere":
            ended.setdefault(number, now[0])
            await shelf.destroy([number])
        elif number in await keyring.keys([number]) and number not in shelf.kept:
            assert now[0] - ended[number] < 60
