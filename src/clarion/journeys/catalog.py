"""Journeys as the engine sees them: compiled once, and asked for anew when they may have changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from clarion.journeys.compile import compile_journey
from clarion.journeys.graph import Graph
from clarion.journeys.ports import JourneyRecord, JourneyVersion
from clarion.kernel.errors import Transient

CHECK_EVERY_S: Final = 1.0
"""How long another process's pause, stop or publication may go unseen. The process that wrote forgets at once."""

GRAPHS_KEPT: Final = 2_000


class VersionReader(Protocol):
    """What the catalog reads of `ports.JourneyStore`."""

    async def list(self, tenant_id: bytes) -> Sequence[JourneyRecord]:
        """A tenant's journeys."""
        ...

    async def versions(self, keys: Sequence[tuple[bytes, int]]) -> list[JourneyVersion | None]:
        """Versions by (journey, number)."""
        ...


class _Entry(msgspec.Struct):
    journeys: dict[bytes, JourneyRecord]
    checked_s: float


class CachedJourneys:
    """`ports.JourneyCatalog`. `monotonic`: seconds of a clock that never goes backwards.

    Versions never change, so a compiled one is kept. While the store is away the last known journeys hold.
    """

    def __init__(self, store: VersionReader, monotonic: Callable[[], float]) -> None:
        self._store = store
        self._monotonic = monotonic
        self._tenants: dict[bytes, _Entry] = {}
        self._graphs: dict[tuple[bytes, int], Graph] = {}

    async def journeys(self, tenant_id: bytes) -> Mapping[bytes, JourneyRecord]:
        """All journeys of a tenant by id; see `JourneyCatalog.journeys`."""
        entry, now_s = self._tenants.get(tenant_id), self._monotonic()
        if entry is not None and now_s - entry.checked_s < CHECK_EVERY_S:
            return entry.journeys
        try:
            found = await self._store.list(tenant_id)
        except Transient:
            if entry is None:
                raise
            entry.checked_s = now_s
            return entry.journeys
        journeys = {record.journey_id: record for record in found}
        self._tenants[tenant_id] = _Entry(journeys, now_s)
        return journeys

    async def graphs(self, keys: Sequence[tuple[bytes, int]]) -> Mapping[tuple[bytes, int], Graph]:
        """Compiled versions; see `JourneyCatalog.graphs`."""
        missing = [key for key in dict.fromkeys(keys) if key not in self._graphs]
        if missing:
            for key, version in zip(missing, await self._store.versions(missing), strict=True):
                graph = None if version is None else compile_stored(version.definition)
                if graph is not None:
                    self._graphs[key] = graph
        found = {key: graph for key in keys if (graph := self._graphs.get(key)) is not None}
        while len(self._graphs) > GRAPHS_KEPT:
            del self._graphs[next(iter(self._graphs))]
        return found

    def forget(self, tenant_id: bytes) -> None:
        """Read this tenant's journeys anew when next asked."""
        self._tenants.pop(tenant_id, None)


def compile_stored(definition: bytes) -> Graph | None:
    """The graph of a definition that was accepted once; None where this release does not understand it."""
    raw: dict[str, Any] = json.loads(definition)
    return compile_journey(raw, None).graph
