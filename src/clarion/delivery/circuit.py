"""Circuit breakers: leave a provider that is down alone, find out when it is back, and return to it slowly.

    closed ──5 failures in a row──▶ open ──a probe succeeds──▶ half-open ──full pace──▶ closed
                                     ▲                             │
                                     └──── failures in a row ──────┘

An open breaker lets one probe through each second. A half-open one lets through 2 sends in its first second and twice
as many in each second that saw a success, so that a provider that comes back after an outage is not met by all that
waited. One breaker stands for one (tenant, provider) in one process; time is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.delivery.model import Outcome

CircuitKey: TypeAlias = tuple[bytes, str]
"""Tenant id and provider name: a tenant's broken account says nothing about another's."""

ADDRESSEE_CODE: Final = "rcpt_"
"""How the `code` of an outcome begins that speaks of the addressee alone: the provider itself is well."""

FAILURES_TO_OPEN: Final = 5
PROBE_INTERVAL_MS: Final = 1000
FIRST_ALLOWANCE: Final = 2
FULL_PACE: Final = 512
"""Sends a second at which a half-open breaker closes: about 8 seconds after the first successful probe."""


class Circuit(msgspec.Struct, frozen=True, gc=False):
    """The state of one breaker.

    `failures` counts those since the last success. `allowance` is the number of sends that a half-open breaker lets
    through in the window of one second that began at `since_ms`; `admitted` and `succeeded` count within that window.
    Of an open breaker `since_ms` is when the last probe left or the last failure was seen.
    """

    state: Literal["closed", "open", "half_open"] = "closed"
    failures: int = 0
    since_ms: int = 0
    allowance: int = 0
    admitted: int = 0
    succeeded: int = 0


CLOSED: Final = Circuit()


def admit(circuit: Circuit, now_ms: int) -> Circuit | None:
    """The circuit after letting one send through now; None where it does not."""
    if circuit.state == "closed":
        return circuit
    is_new_second = now_ms - circuit.since_ms >= PROBE_INTERVAL_MS
    if circuit.state == "open":
        return msgspec.structs.replace(circuit, since_ms=now_ms) if is_new_second else None
    if is_new_second:
        allowance = circuit.allowance * 2 if circuit.succeeded else circuit.allowance
        if allowance > FULL_PACE:
            return CLOSED
        return Circuit("half_open", circuit.failures, now_ms, allowance, admitted=1)
    if circuit.admitted < circuit.allowance:
        return msgspec.structs.replace(circuit, admitted=circuit.admitted + 1)
    return None


def observe(circuit: Circuit, *, healthy: bool, now_ms: int) -> Circuit:
    """The circuit after the provider answered (`healthy`) or failed."""
    if healthy:
        return _after_success(circuit, now_ms)
    failures = circuit.failures + 1
    tolerated = min(FAILURES_TO_OPEN, circuit.allowance or FAILURES_TO_OPEN)
    if circuit.state == "open" or failures >= tolerated:
        return Circuit("open", failures, max(now_ms, circuit.since_ms))
    return msgspec.structs.replace(circuit, failures=failures)


def _after_success(circuit: Circuit, now_ms: int) -> Circuit:
    match circuit.state:
        case "closed":
            return CLOSED
        case "open":
            # The full first allowance is for the second that begins now: the probe itself belongs to the past one.
            return Circuit("half_open", since_ms=now_ms, allowance=FIRST_ALLOWANCE)
        case "half_open":
            return msgspec.structs.replace(circuit, failures=0, succeeded=circuit.succeeded + 1)


def admits_from(circuit: Circuit, now_ms: int) -> int:
    """The earliest instant at which `admit` can say yes, given no further news: now, or the start of a new second."""
    exhausted = circuit.state == "open" or (
        circuit.state == "half_open" and circuit.admitted >= circuit.allowance
    )
    return max(now_ms, circuit.since_ms + PROBE_INTERVAL_MS) if exhausted else now_ms


def health_of(outcome: Outcome) -> bool | None:
    """What an outcome says of its provider's health; None: nothing.

    A `throttled` provider is well and paces by itself. A `permanent` refusal may have been ours, before any call.
    """
    match outcome.kind:
        case "sent":
            return True
        case "transient" | "ambiguous":
            return None if outcome.code.startswith(ADDRESSEE_CODE) else False
        case "throttled" | "permanent":
            return None


class Circuits:
    """The breakers of one process. Memory is bounded by the providers that failed last: the healthy take none.

    Times are milliseconds of one clock that never goes back.
    """

    def __init__(self) -> None:
        self._circuits: dict[CircuitKey, Circuit] = {}

    def __len__(self) -> int:
        """How many providers failed last."""
        return len(self._circuits)

    def state_of(self, key: CircuitKey) -> Circuit:
        """The breaker of `key`, for health reports and metrics."""
        return self._circuits.get(key, CLOSED)

    def admit(self, key: CircuitKey, now_ms: int) -> bool:
        """Whether one send may go to `key` now; if so, it is counted."""
        circuit = self._circuits.get(key)
        if circuit is None:
            return True
        after = admit(circuit, now_ms)
        if after is None:
            return False
        self._put(key, after)
        return True

    def admits_from(self, key: CircuitKey, now_ms: int) -> int:
        """The earliest instant worth asking `admit` again."""
        return admits_from(self.state_of(key), now_ms)

    def observe(self, key: CircuitKey, outcomes: Iterable[Outcome], now_ms: int) -> None:
        """Take the outcomes of one call, in their order."""
        circuit = self.state_of(key)
        for outcome in outcomes:
            healthy = health_of(outcome)
            # The healthy outcome of a healthy provider, nearly all there are, costs two comparisons.
            if healthy is not None and not (healthy and circuit is CLOSED):
                circuit = observe(circuit, healthy=healthy, now_ms=now_ms)
        self._put(key, circuit)

    def _put(self, key: CircuitKey, circuit: Circuit) -> None:
        if circuit == CLOSED:
            self._circuits.pop(key, None)
        else:
            self._circuits[key] = circuit
