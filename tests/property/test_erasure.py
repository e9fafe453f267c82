"""Erasure, whatever is away whenever: in the end nothing is left, all of it is counted, and the certificate holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.signatures import Ed25519Signer, is_signed
from clarion.compliance.erasure import (
    Erasure,
    ErasurePorts,
    LedgerEntry,
    carry_on,
    certify,
    read_certificate,
    replay,
)
from clarion.compliance.ports import DataSubject
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Invalid, Transient
from clarion.testing.erasure import InMemoryErasureTarget

TENANT: Final = bytes(range(16))
SIGNER: Final = Ed25519Signer(MasterKey(bytes(32)), "erasures")
ASKED: Final = Erasure(b"e" * 16, TENANT, b"subject", "ada", (7, 8), "request", 1_000)
MANY_ROUNDS: Final = 200


class Outages:
    """Whether something is away, at each time it is asked; in the end nothing is."""

    def __init__(self, plan: Sequence[bool] = ()) -> None:
        self._plan = list(plan)

    def pass_(self) -> None:
        """Pass, or raise Transient."""
        if self._plan and self._plan.pop():
            raise Transient("away")


class Ledger:
    """`ErasureLedger` in memory."""

    def __init__(self, outages: Outages) -> None:
        self.entries: dict[bytes, LedgerEntry] = {}
        self._outages = outages

    async def note(self, entry: LedgerEntry) -> None:
        """Keep an entry."""
        self._outages.pass_()
        self.entries[entry.erasure_id] = entry

    async def page(self, after: bytes, limit: int) -> list[LedgerEntry]:
        """Entries by id."""
        return [self.entries[ident] for ident in sorted(self.entries) if ident > after][:limit]


class Store:
    """`ErasureStore` of one erasure."""

    def __init__(self) -> None:
        self.erasure = ASKED

    async def take(self, limit: int, lease_ms: int) -> list[Erasure]:
        """The erasure, unless it is complete."""
        return [self.erasure][: limit if lease_ms and self.erasure.completed_ms is None else 0]

    async def note(self, erasure: Erasure, wait_ms: int) -> None:
        """Keep it."""
        assert wait_ms >= 0
        self.erasure = erasure

    async def complete(self, erasure: Erasure, completed_ms: int, certificate: bytes) -> bool:
        """Keep the certificate."""
        self.erasure = msgspec.structs.replace(
            erasure, completed_ms=completed_ms, certificate=certificate, external_id=""
        )
        return True

    async def restore(self, entries: Sequence[LedgerEntry], *, everything: bool) -> int:
        """Open it again where it is not complete, or in any case."""
        opened = entries if everything or self.erasure.completed_ms is None else ()
        if opened:
            self.erasure = msgspec.structs.replace(ASKED, origin="restore")
        return len(opened)


class Shaky:
    """A store that is away now and then, and into which something may come after it was asked first."""

    def __init__(self, number: int, outages: Outages, late: int) -> None:
        self.inner = InMemoryErasureTarget(f"memory.store{number}")
        self._outages = outages
        self._late = late

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return self.inner.name

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove her words, unless it is away."""
        self._outages.pass_()
        removed = await self.inner.erase(subject)
        if self._late:
            self._late -= 1
            self.inner.kept[subject.tenant_id, subject.user_id] = ["late"]
        return removed


plans = st.lists(st.booleans(), max_size=6)


@given(
    st.lists(st.tuples(st.integers(0, 3), plans, st.integers(0, 2)), min_size=1, max_size=4),
    plans,
)
async def test_whatever_is_away_the_end_is_the_same(
    stores: list[tuple[int, list[bool], int]], ledger_plan: list[bool]
):
    targets = [Shaky(i, Outages(plan), late) for i, (_, plan, late) in enumerate(stores)]
    for target, (words, _, _) in zip(targets, stores, strict=True):
        for number in ASKED.user_ids:
            target.inner.kept[TENANT, number] = ["word"] * words
    store, ledger = Store(), Ledger(Outages(ledger_plan))
    ports = ErasurePorts("here", store, ledger, targets, (), SIGNER, StoreClock())

    for _ in range(MANY_ROUNDS):
        for erasure in await store.take(1, 1):
            await carry_on(erasure, ports)

    assert store.erasure.completed_ms is not None
    assert not any(any(target.inner.kept.values()) for target in targets)
    assert set(ledger.entries) == {ASKED.erasure_id}
    removed = {step.target: step.removed["words"] for step in store.erasure.steps}
    assert removed == {
        target.name: words * len(ASKED.user_ids) + late
        for target, (words, _, late) in zip(targets, stores, strict=True)
    }
    said, signed, signature = read_certificate(store.erasure.certificate)
    assert is_signed(SIGNER.public_key, signed, signature)
    assert "ada" not in str(said.values())


async def test_nothing_is_asked_before_the_ledger_knows():
    target = InMemoryErasureTarget()
    target.kept[TENANT, 7] = ["word"]
    store = Store()
    ports = ErasurePorts("here", store, Ledger(Outages([True])), (target,), (), SIGNER, StoreClock())
    await carry_on(ASKED, ports)
    assert target.kept
    assert store.erasure.problem == "ledger: away"


async def test_a_replay_opens_again_what_the_store_does_not_know_as_complete():
    store, ledger = Store(), Ledger(Outages())
    ports = ErasurePorts("here", store, ledger, (), (), SIGNER, StoreClock())
    while store.erasure.completed_ms is None:
        await carry_on(store.erasure, ports)
    assert await replay(ports) == 0
    assert await replay(ports, everything=True) == 1
    assert store.erasure.origin == "restore"


@given(st.data())
def test_a_certificate_that_was_changed_anywhere_does_not_hold(data: st.DataObject):
    certificate = certify(ASKED, "here", 2_000, SIGNER)
    place = data.draw(st.integers(0, len(certificate) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != certificate[place]))
    changed = certificate[:place] + bytes([other]) + certificate[place + 1 :]
    try:
        said, signed, signature = read_certificate(changed)
    except Invalid:
        return
    unchanged = read_certificate(certificate)
    # A letter of the signature's hexadecimal may be written large: the same words, and the same signature.
    assert (said, signed, signature) == unchanged or not is_signed(SIGNER.public_key, signed, signature)


def test_a_certificate_holds_however_it_was_stored_and_for_its_own_key_only():
    certificate = certify(ASKED, "here", 2_000, SIGNER)
    shuffled = msgspec.json.format(
        msgspec.json.encode(dict(reversed(msgspec.json.decode(certificate).items()))), indent=2
    )
    _, signed, signature = read_certificate(shuffled)
    assert is_signed(SIGNER.public_key, signed, signature)
    other = Ed25519Signer(MasterKey(bytes(32)), "exports")
    assert not is_signed(other.public_key, signed, signature)
    assert not is_signed(b"no key", signed, signature)


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b"[]", b"{}", b'{"signature": 1}', b'{"signature": "zz"}', b'{"signature": "00"}']
)
def test_what_is_no_certificate_is_refused(raw: bytes):
    with pytest.raises(Invalid):
        read_certificate(raw)
