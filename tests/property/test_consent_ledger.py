"""The consent ledger, whatever was said in any order: its fold is its replay, and a proof shows what was changed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, cast, get_args

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.signatures import Ed25519Signer, is_signed
from clarion.compliance.chain import link, origin
from clarion.compliance.consent import fold
from clarion.compliance.ledger import Proof, Whose, find_flaw, holding, make_proof
from clarion.compliance.ports import Basis, ConsentEvent, ConsentRecord, WordState

TENANT: Final = bytes(range(16))
WHOSE: Final = Whose("tenant", "ada", 1_000, (25, bytes(32)))
SIGNER: Final = Ed25519Signer(MasterKey(bytes(32)), "consent-proof")

words = st.lists(
    st.tuples(
        st.sampled_from(("email", "sms")),
        st.sampled_from(("*", "marketing", "service")),
        st.booleans(),
        st.sampled_from(cast("tuple[WordState, ...]", get_args(WordState))),
        st.sampled_from(cast("tuple[Basis, ...]", get_args(Basis))),
        st.integers(0, 20),
        st.none() | st.integers(0, 40),
        st.booleans(),
    ),
    max_size=25,
)


def ledger(said: Sequence[tuple[Any, ...]]) -> list[ConsentEvent]:
    """These words as a tenant's ledger has them, in the order of writing; times are those of `said` in half ms."""
    events: list[ConsentEvent] = []
    previous = origin("consent", TENANT)
    for number, (channel, category, consented, state, basis, at, expires, is_worded) in enumerate(said, 1):
        content = msgspec.json.encode([1, number, 7, channel, category, consented])
        following = link(previous, content)
        events.append(
            ConsentEvent(
                number=number,
                channel=channel,
                category=category,
                consented=consented,
                source="web",
                state=state,
                basis=basis,
                details={"wording_hash": "00"} if is_worded else {},
                expires_ms=expires,
                at_us=at * 500,
                evidence=b"",
                content=content,
                hash=following,
                previous_hash=previous,
            )
        )
        previous = following
    return events


def replayed(events: Sequence[ConsentEvent], at_ms: int) -> list[ConsentRecord]:
    """What a replay of the log ends with: word by word, as a table of the latest words is kept."""
    table: dict[tuple[str, str], ConsentEvent] = {}
    for event in events:
        if event.state != "requested":
            known = table.setdefault((event.channel, event.category), event)
            is_later = event.at_us > known.at_us
            is_as_late_and_no_grant = event.at_us == known.at_us and not (event.consented > known.consented)
            if is_later or is_as_late_and_no_grant:
                table[event.channel, event.category] = event
    return [
        ConsentRecord(
            one.channel, one.category, one.consented, one.at_ms, one.source, one.basis, one.is_proven
        )
        for one in table.values()
        if not one.consented or one.expires_ms is None or one.expires_ms > at_ms
    ]


@given(words, st.integers(0, 30), st.randoms(use_true_random=False))
def test_the_fold_of_the_ledger_is_its_replay(said: list[tuple[Any, ...]], at_ms: int, random: Any):
    events = ledger(said)
    held = holding(events, at_ms)
    expected = replayed(events, at_ms)
    assert sorted(held, key=repr) == sorted(expected, key=repr)
    random.shuffle(expected)
    assert fold(held, ()) == fold(expected, ())


@given(words, st.integers(0, 30))
def test_nothing_holds_that_was_only_asked_for_or_has_ended(said: list[tuple[Any, ...]], at_ms: int):
    state = fold(holding(ledger(said), at_ms), ())
    granted = {
        (channel, category)
        for channel, category, consented, word, _, _, expires, _ in said
        if consented and word != "requested" and (expires is None or expires > at_ms)
    }
    channels = {"email": 1, "sms": 4}
    for category, mask in state.granted.items():
        for channel, bit in channels.items():
            assert not mask & bit or (channel, category) in granted
    for masks in (state.implied, state.proven):
        assert all(mask & ~state.granted.get(category, 0) == 0 for category, mask in masks.items())


def proof_of(said: list[tuple[Any, ...]]) -> Proof:
    events = ledger(said)
    return make_proof(WHOSE, events, [{"form": "f1"} for _ in events], SIGNER)


@given(words)
def test_a_proof_holds_as_it_was_written(said: list[tuple[Any, ...]]):
    proof = proof_of(said)
    again = msgspec.json.decode(msgspec.json.encode(proof), type=Proof)
    assert find_flaw(again, is_signed) == ""


@given(words.filter(bool), st.data())
def test_whatever_is_changed_in_a_proof_is_found(said: list[tuple[Any, ...]], data: st.DataObject):
    proof = proof_of(said)
    name = data.draw(st.sampled_from(("tenant_id", "user_id", "as_of", "format")))
    assert "signature" in find_flaw(msgspec.structs.replace(proof, **{name: "other"}), is_signed)
    nth = data.draw(st.integers(0, len(proof.words) - 1))
    turned = list(proof.words)
    turned[nth] = msgspec.structs.replace(turned[nth], consented=not turned[nth].consented)
    changed = msgspec.structs.replace(proof, words=turned)
    assert "signature" in find_flaw(changed, is_signed)
    # Even who had the key could not have a word say something else than what its hash was made of.
    assert f"word {nth + 1} says something else" in find_flaw(signed_again(changed), is_signed)
    turned[nth] = msgspec.structs.replace(proof.words[nth], hash=base64.b64encode(bytes(32)).decode())
    changed = msgspec.structs.replace(proof, words=turned)
    assert f"word {nth + 1} does not have the hash" in find_flaw(signed_again(changed), is_signed)


def signed_again(proof: Proof) -> Proof:
    unsigned = msgspec.structs.replace(proof, signature="")
    signature = SIGNER.sign(msgspec.json.encode(unsigned, order="deterministic"))
    return msgspec.structs.replace(proof, signature=base64.b64encode(signature).decode())


def test_a_proof_of_another_kind_of_signature_does_not_hold():
    other = Ed25519Signer(MasterKey(bytes(32)), "erasures")
    assert other.public_key != SIGNER.public_key
    forged = msgspec.structs.replace(proof_of([]), public_key="no base64")
    assert find_flaw(forged, is_signed) == "it is no proof, or damaged"
