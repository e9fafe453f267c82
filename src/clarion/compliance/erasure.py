"""Erasure: everything that is held of a user is removed, store by store, and a signed certificate says what and when.

    asked ─▶ noted in the ledger ─▶ rounds over all stores, until one finds nothing ─▶ traces on disk ─▶ certificate

Each store is an `ErasureTarget`, asked again and again until it has nothing left: so it does not matter where a round
was broken off, nor that a request which was under way put something back. The ledger stands outside of what backups
restore, and is written before anything is removed; `replay` carries out again what a restore brought back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Protocol, TypeAlias

import msgspec
from msgspec import Meta

from clarion.compliance.ports import DataSubject, ErasureTarget
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Invalid, Transient
from clarion.kernel.ids import format_id

SETTLE_MS: Final = 1_500
"""Between two rounds: longer than what was read before the first is on its way into a store."""

BUSY_MS: Final = 1_000
"""How soon the next round begins where a store was away, or somebody had begun to send to her."""

LEASE_MS: Final = 90_000
"""Longer than a round takes: rewriting Valkey's file may take a minute. What a dead worker held is then another's."""

REPLAY_PAGE: Final = 1_000
KIND: Final = "clarion.erasure-certificate"
VERSION: Final = 1

KEPT: Final = (
    "keyed hashes of addresses that had objected, so that the objection outlives the data",
    "rows of notifications without content, addresses or names, by which promises are counted",
    "rows of runs of journeys without names, steps or timelines, by which journeys are counted",
    "the chained record of consent, with its evidence under the destroyed key",
    "answers kept for repeated requests, under the tenant's key: gone within 25 hours",
    "backups: overwritten in time, and erased again from the ledger whenever one is restored",
)
"""What an erasure leaves on purpose, as the certificate says it."""

Origin: TypeAlias = Literal["request", "restore"]

_decoder = msgspec.json.Decoder(dict[str, Any])


class ErasureRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/compliance/erasures`: whom to erase, by the tenant's own id."""

    user_id: Annotated[str, Meta(min_length=1, max_length=200)]


class Step(msgspec.Struct, frozen=True):
    """What one store gave up so far, by kind, and when it was last asked (UTC ms)."""

    target: str
    removed: Mapping[str, int]
    at_ms: int


class Erasure(msgspec.Struct, frozen=True):
    """An erasure as it stands. Times are UTC milliseconds.

    `subject`: keyed hash of the tenant's id of the user. `external_id`: that id, "" once it is complete or where a
    restore did not bring it back. `user_ids`: her numbers. `rounds`: how often all stores were gone through.
    `problem`: why it does not go on at present.
    """

    erasure_id: bytes
    tenant_id: bytes
    subject: bytes
    external_id: str
    user_ids: tuple[int, ...]
    origin: Origin
    requested_ms: int
    rounds: int = 0
    steps: tuple[Step, ...] = ()
    problem: str = ""
    completed_ms: int | None = None
    certificate: bytes = b""


class LedgerEntry(msgspec.Struct, frozen=True):
    """What the ledger keeps of an erasure: enough to carry it out again, and not who it was."""

    erasure_id: bytes
    tenant_id: bytes
    subject: bytes
    user_ids: tuple[int, ...]
    requested_ms: int


class ErasureStore(Protocol):
    """Erasures in the regional store."""

    async def take(self, limit: int, lease_ms: int) -> list[Erasure]:
        """Erasures to go on with; for `lease_ms` nobody else takes them. Raises Transient."""
        ...

    async def note(self, erasure: Erasure, wait_ms: int) -> None:
        """Keep rounds, steps and problem; it is to be gone on with in `wait_ms`. Raises Transient."""
        ...

    async def complete(self, erasure: Erasure, completed_ms: int, certificate: bytes) -> bool:
        """Keep the certificate and forget the name. False where the erasure got further numbers meanwhile."""
        ...

    async def restore(self, entries: Sequence[LedgerEntry], *, everything: bool) -> int:
        """Open again those of which this store does not know that they are complete (or all); how many."""
        ...


class ErasureLedger(Protocol):
    """Erasures of all regions, outside of what backups of a region restore."""

    async def note(self, entry: LedgerEntry) -> None:
        """Keep an entry, or its further numbers. Durable when this returns. Raises Transient."""
        ...

    async def page(self, after: bytes, limit: int) -> list[LedgerEntry]:
        """This region's entries by id, after one. Raises Transient."""
        ...


class Signer(Protocol):
    """Signs certificates with a key that follows from the master key."""

    @property
    def public_key(self) -> bytes:
        """The Ed25519 public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The signature, 64 bytes."""
        ...


class ErasurePorts(msgspec.Struct, frozen=True):
    """What erasing needs. `targets` in the order in which they are asked; the users' keys come first.

    `traces`: asked once, when nothing is left: what removes the traces of removed things from a store's own log.
    `settle_ms`: how long to wait between two rounds.
    """

    region: str
    store: ErasureStore
    ledger: ErasureLedger
    targets: Sequence[ErasureTarget]
    traces: Sequence[ErasureTarget]
    signer: Signer
    clock: Clock
    settle_ms: int = SETTLE_MS


def subject_hash(tenant_id: bytes, external_id: str, blind: Callable[[bytes, bytes], bytes]) -> bytes:
    """What stands for a user where her id must not; `blind`: the keyed hash of a tenant's value."""
    return blind(tenant_id, b"subject:" + external_id.encode())


async def carry_on(erasure: Erasure, ports: ErasurePorts) -> Erasure:
    """One round over all stores, and the certificate where nothing was left; the erasure as it then stands.

    Nothing is removed before it is in the ledger. A store that has to wait ends the round; what was done stays done.
    Raises Transient where the store of erasures itself is away.
    """
    try:
        await ports.ledger.note(ledger_entry(erasure))
    except Transient as error:
        return await _postpone(erasure, f"ledger: {error.detail}", ports)
    erasure, removed, problem = await _ask(erasure, ports.targets, ports)
    if problem:
        return await _postpone(erasure, problem, ports)
    erasure = msgspec.structs.replace(erasure, rounds=erasure.rounds + 1, problem="")
    if removed or erasure.rounds == 1:
        await ports.store.note(erasure, ports.settle_ms)
        return erasure
    erasure, _, problem = await _ask(erasure, ports.traces, ports)
    if problem:
        return await _postpone(erasure, problem, ports)
    completed_ms = ports.clock.now_ms()
    certificate = certify(erasure, ports.region, completed_ms, ports.signer)
    if not await ports.store.complete(erasure, completed_ms, certificate):
        await ports.store.note(msgspec.structs.replace(erasure, rounds=0), 0)
        return erasure
    return msgspec.structs.replace(
        erasure, external_id="", completed_ms=completed_ms, certificate=certificate
    )


async def replay(ports: ErasurePorts, *, everything: bool = False) -> int:
    """Open again what the ledger knows and the regional store does not, or all; how many. After each restore."""
    after, opened = bytes(16), 0
    while entries := await ports.ledger.page(after, REPLAY_PAGE):
        opened += await ports.store.restore(entries, everything=everything)
        after = entries[-1].erasure_id
    return opened


def ledger_entry(erasure: Erasure) -> LedgerEntry:
    """What the ledger keeps of an erasure."""
    return LedgerEntry(
        erasure.erasure_id, erasure.tenant_id, erasure.subject, erasure.user_ids, erasure.requested_ms
    )


def certify(erasure: Erasure, region: str, completed_ms: int, signer: Signer) -> bytes:
    """The certificate as JSON: what was removed where and when, what was kept and why, and the signature over it."""
    said = {
        "kind": KIND,
        "version": VERSION,
        "erasure_id": format_id(erasure.erasure_id),
        "tenant_id": format_id(erasure.tenant_id),
        "region": region,
        "subject": erasure.subject.hex(),
        "origin": erasure.origin,
        "requested_ms": erasure.requested_ms,
        "completed_ms": completed_ms,
        "rounds": erasure.rounds,
        "removed": [
            {"target": step.target, "last_asked_ms": step.at_ms, "removed": dict(step.removed)}
            for step in erasure.steps
        ],
        "kept": list(KEPT),
        "public_key": signer.public_key.hex(),
    }
    signature = signer.sign(_canonical(said)).hex()
    return _canonical({**said, "signature": signature})


def read_certificate(raw: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """A certificate's words, the bytes that were signed, and the signature. Raises Invalid on what is none."""
    try:
        said = _decoder.decode(raw)
        signature = bytes.fromhex(said.pop("signature"))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise Invalid("is no certificate of an erasure", "certificate") from None
    if said.get("kind") != KIND or said.get("version") != VERSION:
        raise Invalid("is no certificate of an erasure that this release knows", "certificate")
    return said, _canonical(said), signature


def _canonical(said: Mapping[str, Any]) -> bytes:
    """One way to write what is signed, however it was stored meanwhile: names sorted, no spaces."""
    return msgspec.json.encode(said, order="sorted")


async def _ask(
    erasure: Erasure, targets: Sequence[ErasureTarget], ports: ErasurePorts
) -> tuple[Erasure, int, str]:
    """Ask stores in turn: the erasure with what they gave up, how much that was, and why the rest was not asked.

    What a store gave up is kept before the next one is asked, so that a worker that dies loses no count but its last.
    """
    removed = 0
    for target in targets:
        for subject in _subjects(erasure):
            try:
                found = await target.erase(subject)
            except Transient as error:
                return erasure, removed, f"{target.name}: {error.detail}"
            erasure = _with_step(erasure, target.name, found, ports.clock.now_ms())
            number = sum(found.values())
            if number:
                removed += number
                await ports.store.note(erasure, LEASE_MS)
    return erasure, removed, ""


def _subjects(erasure: Erasure) -> list[DataSubject]:
    return [DataSubject(erasure.tenant_id, number, erasure.external_id) for number in erasure.user_ids]


def _with_step(erasure: Erasure, target: str, found: Mapping[str, int], at_ms: int) -> Erasure:
    steps = {step.target: step for step in erasure.steps}
    before: Mapping[str, int] = steps[target].removed if target in steps else {}
    removed = {kind: before.get(kind, 0) + found.get(kind, 0) for kind in (*before, *found)}
    steps[target] = Step(target, removed, at_ms)
    return msgspec.structs.replace(erasure, steps=tuple(steps.values()))


async def _postpone(erasure: Erasure, problem: str, ports: ErasurePorts) -> Erasure:
    erasure = msgspec.structs.replace(erasure, problem=problem)
    await ports.store.note(erasure, BUSY_MS)
    return erasure
