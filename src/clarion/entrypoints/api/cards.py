"""Cards after a write: the cache gets the new ones, and gets them later where it is away."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from clarion.kernel.errors import Transient
from clarion.orchestration.cards import CardTruth
from clarion.orchestration.ports import CardCache

MAX_OWED: Final = 100_000
"""Users whose cards are remembered to be replaced. What is forgotten here makes decisions worse until the card ends (7
days), and lets nothing through: consent and address are read again at the send."""

BATCH: Final = 1000


class CardKeeper:
    """Replaces cards whose users were written. Never fails a write: what the cache misses it is owed."""

    def __init__(self, cache: CardCache, truth: CardTruth) -> None:
        self._cache = cache
        self._truth = truth
        self._owed: dict[tuple[bytes, str], None] = {}

    async def refresh(self, tenant_id: bytes, external_ids: Iterable[str]) -> None:
        """Put the present cards of these users into the cache; those of deleted users leave it."""
        names = sorted(set(external_ids))
        try:
            cards = await self._truth.read_cards(tenant_id, names)
            await self._cache.put(tenant_id, [card for card in cards if card is not None])
            gone = [name for name, card in zip(names, cards, strict=True) if card is None]
            if gone:
                await self._cache.drop(tenant_id, gone)
        except Transient:
            for name in names:
                if len(self._owed) < MAX_OWED:
                    self._owed[tenant_id, name] = None

    async def settle(self) -> None:
        """Try once more what is owed; what fails again stays owed."""
        owed = list(self._owed)[:BATCH]
        by_tenant: dict[bytes, list[str]] = {}
        for tenant_id, name in owed:
            del self._owed[tenant_id, name]
            by_tenant.setdefault(tenant_id, []).append(name)
        for tenant_id, names in by_tenant.items():
            await self.refresh(tenant_id, names)
