"""What a reader ticked is what she gets, whatever was said before, and however close together it was said."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from clarion.compliance.consent import fold
from clarion.compliance.model import ANY_CATEGORY, ConsentState
from clarion.compliance.ports import ConsentRecord, ConsentWord
from clarion.compliance.rules import permit
from clarion.compliance.subscriptions import Cell, Source, Subscriber, Subscriptions
from clarion.compliance.suppression import Suppression
from clarion.contracts.channels import CHANNELS, mask_of
from clarion.tenancy.model import Category

CATEGORIES = {
    "news": Category("news", "marketing"),
    "parcels": Category("parcels", "service", channels=mask_of(["email", "sms"])),
    "codes": Category("codes", "transactional"),
}
WHO = Subscriber(b"t" * 16, 7, "ada")
SOURCE = Source("preference_page", "")

channels = st.sampled_from(CHANNELS)
cells = st.tuples(st.sampled_from([ANY_CATEGORY, "news", "parcels"]), channels)
forms = st.frozensets(cells)
words = st.lists(st.tuples(cells, st.booleans(), st.integers(0, 2)), max_size=12)


class Words:
    """Keeps the latest word per cell, as the store does. `ticks`: milliseconds between the words of one call."""

    def __init__(self, ticks: int) -> None:
        self._ticks = ticks
        self._now_ms = 1000
        self._latest: dict[Cell, ConsentRecord] = {}

    async def record(self, tenant_id: bytes, words: Sequence[ConsentWord]) -> None:
        assert tenant_id == WHO.tenant_id
        for word in words:
            self._now_ms += self._ticks
            self.say((word.category, word.channel), consented=word.consented)
        self._now_ms += 1

    def say(self, cell: Cell, *, consented: bool, ago_ms: int = 0) -> None:
        category, channel = cell
        record = ConsentRecord(channel, category, consented, self._now_ms - ago_ms)
        known = self._latest.get(cell)
        if known is None or (known.at_ms, not known.consented) <= (record.at_ms, not consented):
            self._latest[cell] = record

    async def suppress(self, tenant_id: bytes, suppressions: Sequence[Suppression]) -> None:
        raise NotImplementedError

    async def records(self, tenant_id: bytes, user_id: int) -> list[ConsentRecord]:
        raise NotImplementedError

    async def consents(self, user_ids: Sequence[int]) -> dict[int, ConsentState]:
        return {user_id: fold(self._latest.values(), ()) for user_id in user_ids}

    def gets(self, name: str, channel: str) -> bool:
        """Whether a message of this category may be sent there."""
        state = fold(self._latest.values(), ())
        return not permit(CATEGORIES[name].class_, name, channel, state)


class Seals:
    async def find_ids(self, tenant_id: bytes, external_ids: Sequence[str]) -> dict[str, int]:
        raise NotImplementedError

    async def seal_evidence(self, tenant_id: bytes, evidence: Sequence[tuple[int, bytes]]) -> list[bytes]:
        assert tenant_id == WHO.tenant_id
        return [clear for _, clear in evidence]

    async def unseal_evidence(
        self, tenant_id: bytes, user_id: int, sealed: Sequence[bytes]
    ) -> list[bytes | None]:
        raise NotImplementedError


def heard(said: Sequence[tuple[Cell, bool, int]], ticks: int) -> tuple[Words, Subscriptions]:
    store = Words(ticks)
    for cell, consented, ago_ms in said:
        store.say(cell, consented=consented, ago_ms=ago_ms)
    return store, Subscriptions(Seals(), store)


@given(words, forms, st.integers(0, 1))
async def test_what_is_ticked_comes_and_nothing_else(
    said: list[tuple[Cell, bool, int]], form: frozenset[Cell], ticks: int
):
    store, subscriptions = heard(said, ticks)
    await store.record(WHO.tenant_id, [])  # time passes
    await subscriptions.choose(WHO, await subscriptions.choices(WHO, CATEGORIES), form, SOURCE)
    for name in ("news", "parcels"):
        for choice in await subscriptions.choices(WHO, CATEGORIES):
            if choice.category == name:
                wanted = {c for c in choice.offered if (name, c) in form and (ANY_CATEGORY, c) in form}
                assert set(choice.received) == wanted
                assert {c for c in choice.offered if store.gets(name, c)} == wanted


@given(
    words, st.one_of(st.none(), st.tuples(st.sampled_from(["news", "parcels"]), channels)), st.integers(0, 1)
)
async def test_what_is_stopped_does_not_come_and_once_is_enough(
    said: list[tuple[Cell, bool, int]], stopped: Cell | None, ticks: int
):
    store, subscriptions = heard(said, ticks)
    await store.record(WHO.tenant_id, [])
    await subscriptions.unsubscribe(WHO, stopped, SOURCE)
    gone = [stopped] if stopped else [(name, channel) for name in ("news", "parcels") for channel in CHANNELS]
    assert not any(store.gets(name, channel) for name, channel in gone)
    assert not await subscriptions.unsubscribe(WHO, stopped, SOURCE)


@given(words, forms)
async def test_the_same_form_again_says_nothing(said: list[tuple[Cell, bool, int]], form: frozenset[Cell]):
    store, subscriptions = heard(said, 1)
    await store.record(WHO.tenant_id, [])
    await subscriptions.choose(WHO, await subscriptions.choices(WHO, CATEGORIES), form, SOURCE)
    before = await store.consents([7])
    seen = await subscriptions.choices(WHO, CATEGORIES)
    shown = {(choice.category, channel) for choice in seen for channel in choice.received}
    await subscriptions.choose(WHO, seen, shown, SOURCE)
    assert await store.consents([7]) == before
