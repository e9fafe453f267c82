"""Template versions in memory. They never change, so what was read once is right for ever; only room is limited."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Protocol

from clarion.delivery.ports import TemplateKey
from clarion.templates import TemplateVersion

CAPACITY: Final = 2_000
MAX_CHARS: Final = 32 * 1024 * 1024
"""Versions that are kept, and the characters of all their sources: some speak fifty languages."""


class TemplateStore(Protocol):
    """Where template versions are."""

    async def fetch(self, refs: Sequence[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """Versions by reference, with one query; those that do not exist are absent. Raises Transient."""
        ...


class CachedTemplates:
    """`TemplateReader` over a store: one query a batch for what is not known, none for what is."""

    def __init__(self, store: TemplateStore) -> None:
        self._store = store
        self._known: dict[TemplateKey, TemplateVersion] = {}
        self._chars = 0

    async def read(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """The versions by key; those that do not exist are absent. Raises Transient."""
        found = {key: version for key in keys if (version := self._known.get(key)) is not None}
        missing = [key for key in keys if key not in found]
        if missing:
            fetched = await self._store.fetch(missing)
            chars = sum(version.size for version in fetched.values())
            if len(self._known) + len(fetched) > CAPACITY or self._chars + chars > MAX_CHARS:
                self._known.clear()  # what this batch found there is in `found`
                self._chars = 0
            self._known.update(fetched)
            self._chars += chars
            found |= fetched
        return found
