"""The board of a region in memory, for tests of what stands on it. One conformance suite binds it and the real one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec

from clarion.delivery.circuit import CLOSED, Circuit, CircuitKey, Report, Verdict, settle
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import MAX_DESTINATIONS, Tallies, add, decay
from clarion.kernel.errors import Transient


class InMemoryProviderBoard:
    """`delivery.board.ProviderBoard`. `now_ms`: its clock. While `away` is set every call raises Transient."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._circuits: dict[CircuitKey, Circuit] = {}
        self._tallies: dict[CircuitKey, Tallies] = {}
        self.away = False

    async def settle(self, reports: Mapping[CircuitKey, Report]) -> dict[CircuitKey, Verdict]:
        """Move breakers."""
        self._check()
        verdicts: dict[CircuitKey, Verdict] = {}
        for key, report in reports.items():
            verdict = settle(self._circuits.get(key, CLOSED), report, self._now_ms())
            self._circuits[key] = verdict.circuit
            verdicts[key] = verdict
        return verdicts

    async def add(
        self, tallies: Mapping[CircuitKey, Tallies], wanted: Collection[CircuitKey], now_ms: int
    ) -> dict[CircuitKey, Tallies]:
        """Add figures and read them."""
        self._check()
        mine_ms = self._now_ms()
        for key, news in tallies.items():
            kept = self._tallies.setdefault(key, {})
            for destination, tally in news.items():
                fresh = msgspec.structs.replace(tally, at_ms=mine_ms)
                if destination in kept:
                    kept[destination] = add(kept[destination], fresh)
                elif destination == ANYWHERE or len(kept) <= MAX_DESTINATIONS:
                    kept[destination] = fresh
        return {
            key: {
                destination: msgspec.structs.replace(decay(tally, mine_ms), at_ms=now_ms)
                for destination, tally in self._tallies[key].items()
            }
            for key in {*tallies, *wanted}
            if key in self._tallies
        }

    def _check(self) -> None:
        if self.away:
            raise Transient("the board is away")
