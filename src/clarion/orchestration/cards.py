"""Cards from the cache, and from Postgres where the cache has none. The cache being away costs time, not answers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

from clarion.audience.model import Card
from clarion.kernel.errors import Transient
from clarion.orchestration.ports import CardCache


class CardTruth(Protocol):
    """Where cards are made of the users' rows."""

    async def read_cards(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order; None where the tenant has no such user. Raises Transient."""
        ...


class CachedCards:
    """`CardSource`: one read of the cache a batch, and one query for all that it does not have."""

    def __init__(self, cache: CardCache, truth: CardTruth) -> None:
        self._cache = cache
        self._truth = truth

    async def read(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order; None where the tenant has no such user."""
        if not external_ids:
            return []
        try:
            cards = await self._cache.read(tenant_id, external_ids)
        except Transient:
            return await self._truth.read_cards(tenant_id, external_ids)
        missing = sorted({name for name, card in zip(external_ids, cards, strict=True) if card is None})
        if not missing:
            return cards
        made = dict(zip(missing, await self._truth.read_cards(tenant_id, missing), strict=True))
        found = [card for card in made.values() if card is not None]
        if found:
            with contextlib.suppress(Transient):
                await self._cache.put(tenant_id, found)
        return [card or made.get(name) for name, card in zip(external_ids, cards, strict=True)]
