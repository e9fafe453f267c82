"""The breakers of one process, in step with those of its region.

A worker reacts to what it sees by itself and at once: a breaker opens here with the fifth failure. What happened is
told to the region's board once a second, or at once where a breaker moved, and what the region says is taken over. The
board hands out permits: a probe a second for all workers together, and the slow start of a half-open breaker. While
the board cannot be reached, each process keeps its breakers by the same rules alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from clarion.delivery.circuit import (
    CLOSED,
    PROBE_INTERVAL_MS,
    Circuit,
    CircuitKey,
    Report,
    Verdict,
    admit,
    admits_from,
    health_of,
    observe,
    refuse,
)
from clarion.delivery.health import BreakerReason, BreakerState
from clarion.delivery.model import AUTH_CODE, Outcome

ALONE_AFTER_MS: Final = 3_000
"""Without news for so long a process decides by itself."""

IN_USE_MS: Final = 60_000
"""So long after its last use an account is still asked about."""


class Change(msgspec.Struct, frozen=True):
    """A breaker came into another state, or is open for another reason, as this process saw it first."""

    key: CircuitKey
    state: BreakerState
    reason: BreakerReason


class _Seen(msgspec.Struct):
    """What is to be reported of an account, and what may be done. `used_ms`: its last use."""

    used_ms: int = 0
    version: int = 0
    healthy: int = 0
    failures: int = 0
    refused: bool = False
    wanted: int = 0
    permits: int = 0


class Circuits:
    """The breakers of one process. Memory is bounded by the accounts in use.

    Times are milliseconds of one clock that never goes back.
    """

    def __init__(self) -> None:
        self._circuits: dict[CircuitKey, Circuit] = {}
        self._seen: dict[CircuitKey, _Seen] = {}
        self._heard_ms = -ALONE_AFTER_MS
        self._changes: list[Change] = []
        self.pressing = asyncio.Event()
        """Set where the region should hear of it now: a breaker opened, or a probe has its answer."""

    def __len__(self) -> int:
        """How many providers failed last."""
        return len(self._circuits)

    def state_of(self, key: CircuitKey) -> Circuit:
        """The breaker of `key`, for health reports and metrics."""
        return self._circuits.get(key, CLOSED)

    def not_closed(self) -> set[CircuitKey]:
        """The accounts whose breakers are open or half-open."""
        return {key for key, circuit in self._circuits.items() if circuit.state != "closed"}

    def in_use(self) -> list[CircuitKey]:
        """The accounts that were asked lately."""
        return list(self._seen)

    def use(self, accounts: Iterable[tuple[CircuitKey, int]], now_ms: int) -> None:
        """Say that accounts are about to be asked, each with the version of its configuration."""
        for key, version in accounts:
            seen = self._seen.get(key)
            if seen is None:
                seen = self._seen[key] = _Seen()
            seen.used_ms = now_ms
            if version > seen.version:
                seen.version = version
                circuit = self._circuits.get(key)
                if circuit is not None and circuit.reason == "credentials" and circuit.version < version:
                    self._put(key, CLOSED)
                    self.pressing.set()

    def admit(self, key: CircuitKey, now_ms: int) -> bool:
        """Whether one send may go to `key` now; if so, it is counted."""
        circuit = self._circuits.get(key)
        if circuit is None or circuit.state == "closed":
            return True
        if not self._is_shared(now_ms):
            after = admit(circuit, now_ms)
            if after is not None:
                self._put(key, after)
            return after is not None
        seen = self._seen.setdefault(key, _Seen(now_ms))
        if seen.permits:
            seen.permits -= 1
            return True
        seen.wanted += 1
        return False

    def admits_from(self, key: CircuitKey, now_ms: int) -> int:
        """The earliest instant worth asking `admit` again."""
        circuit = self.state_of(key)
        if circuit.state == "closed" or not self._is_shared(now_ms):
            return admits_from(circuit, now_ms)
        seen = self._seen.get(key)
        if seen is not None and seen.permits:
            return now_ms
        # With the news of the next second: of a probe's success, or of other credentials.
        return now_ms + PROBE_INTERVAL_MS

    def observe(self, key: CircuitKey, outcomes: Iterable[Outcome], now_ms: int) -> None:
        """Take the outcomes of one call, in their order."""
        before = circuit = self.state_of(key)
        seen = self._seen.get(key)
        for outcome in outcomes:
            healthy = health_of(outcome)
            # The healthy outcome of a healthy provider, nearly all there are, costs two comparisons.
            if healthy is None or (healthy and circuit is CLOSED):
                continue
            if seen is None:
                seen = self._seen[key] = _Seen(now_ms)
            _note(seen, outcome, healthy=healthy)
            circuit = _after(circuit, outcome, seen.version, now_ms, is_shared=self._is_shared(now_ms))
        if circuit is before and (circuit is CLOSED or not self._is_shared(now_ms)):
            return
        self._put(key, circuit)
        if circuit.state == "open":
            # Opened here, or a probe came back: the others wait for the news.
            self.pressing.set()

    def reports(self, now_ms: int) -> dict[CircuitKey, Report]:
        """What the region is to be told, and asked about. What was told is not told again (see `untold`)."""
        self.pressing.clear()
        reports: dict[CircuitKey, Report] = {}
        for key, seen in list(self._seen.items()):
            circuit = self._circuits.get(key)
            if now_ms - seen.used_ms > IN_USE_MS and circuit is None:
                del self._seen[key]
                continue
            wanted = seen.wanted
            if circuit is not None and circuit.state == "half_open" and not seen.permits:
                # One at hand, so that a message that comes alone does not wait for a second.
                wanted = max(wanted, 1)
            reports[key] = Report(seen.healthy, seen.failures, seen.refused, wanted, seen.version)
            seen.healthy = seen.failures = seen.wanted = 0
            seen.refused = False
        return reports

    def untold(self, reports: Mapping[CircuitKey, Report]) -> None:
        """Take reports back that did not reach the region: they go with the next ones."""
        for key, report in reports.items():
            seen = self._seen.setdefault(key, _Seen())
            if not seen.healthy:
                seen.failures += report.failures
            seen.healthy += report.healthy
            seen.refused |= report.refused

    def learn(self, verdicts: Mapping[CircuitKey, Verdict], now_ms: int) -> None:
        """Take over what the region says."""
        self._heard_ms = now_ms
        for key, verdict in verdicts.items():
            seen = self._seen.setdefault(key, _Seen(now_ms))
            circuit = verdict.circuit
            if circuit.state == "closed":
                seen.permits = 0
            else:
                seen.permits += verdict.permits
                # From here on by this process's clock: the region's may be another.
                circuit = msgspec.structs.replace(circuit, since_ms=now_ms)
            self._put(key, circuit)

    def changes(self) -> list[Change]:
        """The changes of state since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def _is_shared(self, now_ms: int) -> bool:
        return now_ms - self._heard_ms < ALONE_AFTER_MS

    def _put(self, key: CircuitKey, circuit: Circuit) -> None:
        before = self._circuits.get(key, CLOSED)
        if (circuit.state, circuit.reason) != (before.state, before.reason):
            self._changes.append(Change(key, circuit.state, circuit.reason))
            seen = self._seen.get(key)
            if seen is not None and circuit.state == "open":
                seen.permits = 0
        if circuit.state == "closed" and not circuit.failures:
            self._circuits.pop(key, None)
        else:
            self._circuits[key] = circuit


def _note(seen: _Seen, outcome: Outcome, *, healthy: bool) -> None:
    if outcome.code == AUTH_CODE:
        seen.refused = True
    elif healthy:
        seen.healthy += 1
        seen.failures = 0
    else:
        seen.failures += 1


def _after(circuit: Circuit, outcome: Outcome, version: int, now_ms: int, *, is_shared: bool) -> Circuit:
    if outcome.code == AUTH_CODE:
        return refuse(circuit, version, now_ms)
    healthy = bool(health_of(outcome))
    if healthy and circuit.state != "closed" and is_shared:
        return circuit  # the region decides when it may be used again, and how fast
    return observe(circuit, healthy=healthy, now_ms=now_ms)
