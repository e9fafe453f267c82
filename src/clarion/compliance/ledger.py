"""The consent ledger: proof of what one user had said by an instant, and a chain over what all users ever said.

A proof can be checked by anybody who has it and our public key, without asking us: each word has the bytes that were
hashed and the hash before it, and the whole is signed. The words of one user are not neighbours in the chain, which is
her tenant's; that nothing stands between them is what `verify_consent_chain` says.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import msgspec

from clarion.compliance.chain import Break, Linked, Verdict, find_break, link, origin
from clarion.compliance.consent import ALL, ConsentEntry, entry_of
from clarion.compliance.model import ANY_CATEGORY
from clarion.compliance.ports import ConsentEvent, ConsentLedger, ConsentRecord

CHAIN: Final = "consent"
PAGE: Final = 10_000
"""Rows of a chain that are held in memory at a time: about 5 MB."""

FORMAT: Final = "clarion.consent.proof.1"

PURPOSE: Final = "consent-proof"
"""What proofs are signed for."""

_json: Final = msgspec.json.Encoder(order="deterministic")


class Signer(Protocol):
    """Signs proofs, so that others can check them."""

    @property
    def public_key(self) -> bytes:
        """The key to check with, 32 bytes (Ed25519)."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        ...


class ProofWord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word of a proof. `content`, `previous_hash` and `hash` are base64: hash = SHA-256(previous_hash ‖ content).

    `evidence` is what was kept sealed, in clear; None where its key is gone.
    """

    number: int
    channel: str
    category: str
    consented: bool
    source: str
    state: str
    basis: str
    details: dict[str, str]
    timestamp: str
    expires_at: str | None
    evidence: Any
    content: str
    previous_hash: str
    hash: str


class ChainEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last word of the tenant's chain when a proof was made, as `clarion audit verify` knows it. `hash`: base64."""

    number: int
    hash: str


class Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one user had said by `as_of`, and what held then. `public_key` and `signature` are base64 (Ed25519).

    The signature is over this very document without it: its JSON with sorted keys and no spaces.
    """

    format: str
    tenant_id: str
    user_id: str
    as_of: str
    consents: list[ConsentEntry]
    words: list[ProofWord]
    chain: ChainEnd
    public_key: str
    signature: str = ""


class Whose(msgspec.Struct, frozen=True):
    """Whose proof, as it names her, and up to when (UTC ms). `end`: number and hash of the chain's last word."""

    tenant_id: str
    user_id: str
    as_of_ms: int
    end: tuple[int, bytes]


def make_proof(
    whose: Whose, events: Sequence[ConsentEvent], evidence: Sequence[Any], signer: Signer
) -> Proof:
    """The proof of these events (all of hers up to then, oldest first), with their evidence in clear."""
    proof = Proof(
        FORMAT,
        whose.tenant_id,
        whose.user_id,
        _time(whose.as_of_ms),
        [entry_of(record) for record in holding(events, whose.as_of_ms)],
        [_word(event, clear) for event, clear in zip(events, evidence, strict=True)],
        ChainEnd(whose.end[0], _b64(whose.end[1])),
        _b64(signer.public_key),
    )
    return msgspec.structs.replace(proof, signature=_b64(signer.sign(signed_bytes(proof))))


def holding(events: Sequence[ConsentEvent], at_ms: int) -> list[ConsentRecord]:
    """The latest words that hold at an instant: the fold of the ledger. What was only asked for is none of them."""
    latest: dict[tuple[str, str], ConsentEvent] = {}
    for event in events:
        if event.state == "requested":
            continue
        key = (event.channel, event.category)
        known = latest.get(key)
        if known is None or (event.at_us, not event.consented) >= (known.at_us, not known.consented):
            latest[key] = event
    records = [
        ConsentRecord(e.channel, e.category, e.consented, e.at_ms, e.source, e.basis, e.is_proven)
        for e in latest.values()
        if not (e.consented and e.expires_ms is not None and e.expires_ms <= at_ms)
    ]
    return sorted(records, key=lambda record: (-record.at_ms, record.channel, record.category))


def signed_bytes(proof: Proof) -> bytes:
    """What is signed."""
    return _json.encode(msgspec.structs.replace(proof, signature=""))


def find_flaw(proof: Proof, is_signed: Callable[[bytes, bytes, bytes], bool]) -> str:
    """What is wrong with a proof; "": nothing. `is_signed(public key, message, signature)` knows Ed25519.

    That the public key is ours has to be compared with one that was had from us.
    """
    try:
        key, signature = _unb64(proof.public_key), _unb64(proof.signature)
        if not is_signed(key, signed_bytes(proof), signature):
            return "the signature is not that of this document"
        for word in proof.words:
            previous, content = _unb64(word.previous_hash), _unb64(word.content)
            if not hmac.compare_digest(link(previous, content), _unb64(word.hash)):
                return f"word {word.number} does not have the hash that follows from it"
            hashed: list[Any] = msgspec.json.decode(content)
            if hashed[1:6] != [
                word.number,
                hashed[2],
                word.channel,
                _stored(word.category),
                word.consented,
            ]:
                return f"word {word.number} says something else than what was hashed"
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return "it is no proof, or damaged"
    return ""


async def verify_consent_chain(ledger: ConsentLedger, tenant_id: bytes) -> Verdict:
    """Whether a tenant's ledger is as it was written, its end included. In memory PAGE rows at a time."""
    rows = number = 0
    previous = origin(CHAIN, tenant_id)
    end, end_hash = await ledger.chain_head(tenant_id) or (0, previous)
    while page := await ledger.chain(tenant_id, number, PAGE):
        broken = find_break(previous, number, page) or _find_other_end(page, end, end_hash)
        if broken:
            return Verdict(rows, number, previous, broken)
        rows += len(page)
        number, previous = page[-1].number, page[-1].hash
    if number < end:
        return Verdict(rows, number, previous, Break(number + 1, "is missing, and all that follow it"))
    return Verdict(rows, number, previous, None)


def _find_other_end(page: Sequence[Linked], end: int, end_hash: bytes) -> Break | None:
    """Whether the row at the chain's end is another one than that which was written last, with all its hashes right."""
    place = end - page[0].number
    if not 0 <= place < len(page) or hmac.compare_digest(page[place].hash, end_hash):
        return None
    return Break(end, "is another one than was written: the chain's end has another hash")


def _word(event: ConsentEvent, evidence: Any) -> ProofWord:  # noqa: ANN401  JSON
    return ProofWord(
        event.number,
        event.channel,
        ALL if event.category == ANY_CATEGORY else event.category,
        event.consented,
        event.source,
        event.state,
        event.basis,
        dict(event.details),
        _time(event.at_ms),
        None if event.expires_ms is None else _time(event.expires_ms),
        evidence,
        _b64(event.content),
        _b64(event.previous_hash or b""),
        _b64(event.hash),
    )


def _stored(category: str) -> str:
    return ANY_CATEGORY if category == ALL else category


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _unb64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
