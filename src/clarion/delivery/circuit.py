"""Circuit breakers: leave a provider that is down alone, find out when it is back, and return to it slowly.

    closed ──5 failures in a row──▶ open ──a probe succeeds──▶ half-open ──full pace──▶ closed
                                     ▲                             │
                                     └──── failures in a row ──────┘

An open breaker lets one probe through each second. A half-open one lets through 2 sends in its first second and twice
as many in each second that saw a success, so that a provider that comes back after an outage is not met by all that
waited. Credentials that are refused open it at once, and are tried again once in 30 s, or when the account is changed.

One breaker stands for one (tenant, provider) in one region: `settle` moves the breaker that the region's workers share
(`ports.ProviderBoard`), the other functions a process's own (`circuits`). Time is passed in.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from clarion.delivery.health import BreakerReason, BreakerState
from clarion.delivery.model import AUTH_CODE, Outcome

CircuitKey: TypeAlias = tuple[bytes, str]
"""Tenant id and provider name: a tenant's broken account says nothing about another's."""

ADDRESSEE_CODE: Final = "rcpt_"
"""How the `code` of an outcome begins that speaks of the addressee alone: the provider itself is well."""

FAILURES_TO_OPEN: Final = 5
PROBE_INTERVAL_MS: Final = 1000
CREDENTIALS_INTERVAL_MS: Final = 30_000
"""Between probes with refused credentials: vendors lock accounts that knock with a wrong key."""

FIRST_ALLOWANCE: Final = 2
FULL_PACE: Final = 512
"""Sends a second at which a half-open breaker closes: about 8 seconds after the first successful probe."""


class Circuit(msgspec.Struct, frozen=True, gc=False):
    """The state of one breaker.

    `failures` counts those since the last success. `allowance` is the number of sends that a half-open breaker lets
    through in the window of one second that began at `since_ms`; `admitted` and `succeeded` count within that window.
    Of an open breaker `since_ms` is when the last probe left or the last failure was seen. `entered_ms`: when it came
    into its state. `version`: that of the account's configuration which opened it.
    """

    state: BreakerState = "closed"
    failures: int = 0
    since_ms: int = 0
    allowance: int = 0
    admitted: int = 0
    succeeded: int = 0
    reason: BreakerReason = ""
    entered_ms: int = 0
    version: int = 0


CLOSED: Final = Circuit()


class Report(msgspec.Struct, frozen=True, gc=False):
    """What one worker saw of an account since its last report.

    `healthy`: answers that prove it well; `failures`: those since the last of them. `refused`: its credentials were.
    `wanted`: how many sends were held back, or would be good to be able to make. `version`: of its configuration.
    """

    healthy: int = 0
    failures: int = 0
    refused: bool = False
    wanted: int = 0
    version: int = 0


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What the region says of a breaker. `permits`: sends that this worker may make while it is not closed."""

    circuit: Circuit
    permits: int = 0


def admit(circuit: Circuit, now_ms: int) -> Circuit | None:
    """The circuit after letting one send through now; None where it does not."""
    if circuit.state == "closed":
        return circuit
    if circuit.state == "open":
        is_time = now_ms - circuit.since_ms >= probe_interval_ms(circuit)
        return replace(circuit, since_ms=now_ms) if is_time else None
    circuit = _in_this_second(circuit, now_ms)
    if circuit.state == "closed":
        return circuit
    if circuit.admitted < circuit.allowance:
        return replace(circuit, admitted=circuit.admitted + 1)
    return None


def _in_this_second(circuit: Circuit, now_ms: int) -> Circuit:
    """A half-open circuit with the window that `now_ms` is in."""
    if now_ms - circuit.since_ms < PROBE_INTERVAL_MS:
        return circuit
    allowance = circuit.allowance * 2 if circuit.succeeded else circuit.allowance
    if allowance > FULL_PACE:
        return CLOSED
    return replace(circuit, since_ms=now_ms, allowance=allowance, admitted=0, succeeded=0)


def probe_interval_ms(circuit: Circuit) -> int:
    """Milliseconds between two probes of an open breaker."""
    return CREDENTIALS_INTERVAL_MS if circuit.reason == "credentials" else PROBE_INTERVAL_MS


def observe(circuit: Circuit, *, healthy: bool, now_ms: int) -> Circuit:
    """The circuit after the provider answered (`healthy`) or failed."""
    if healthy:
        return _after_success(circuit, now_ms)
    failures = circuit.failures + 1
    if circuit.state == "open" or failures >= _tolerated(circuit):
        return open_(circuit, failures, now_ms)
    return replace(circuit, failures=failures)


def refuse(circuit: Circuit, version: int, now_ms: int) -> Circuit:
    """The circuit after the account's credentials were refused."""
    after = open_(replace(circuit, reason="credentials"), circuit.failures + 1, now_ms)
    return replace(after, version=version)


def open_(circuit: Circuit, failures: int, now_ms: int) -> Circuit:
    """The circuit opened, or kept open: the next probe leaves an interval after `now_ms`."""
    was_open = circuit.state == "open"
    return Circuit(
        "open",
        failures,
        max(now_ms, circuit.since_ms),
        reason=circuit.reason or "failures",
        entered_ms=circuit.entered_ms if was_open else now_ms,
        version=circuit.version,
    )


def _tolerated(circuit: Circuit) -> int:
    return min(FAILURES_TO_OPEN, circuit.allowance or FAILURES_TO_OPEN)


def _after_success(circuit: Circuit, now_ms: int) -> Circuit:
    match circuit.state:
        case "closed":
            return CLOSED
        case "open":
            # The full first allowance is for the second that begins now: the probe itself belongs to the past one.
            return Circuit("half_open", since_ms=now_ms, allowance=FIRST_ALLOWANCE, entered_ms=now_ms)
        case "half_open":
            return replace(circuit, failures=0, succeeded=circuit.succeeded + 1)


def settle(circuit: Circuit, report: Report, now_ms: int) -> Verdict:
    """The region's breaker after one worker's report, and what that worker may do until its next one.

    What a worker saw of credentials that were changed meanwhile says nothing; a change closes a breaker that the old
    ones opened.
    """
    if circuit.reason == "credentials" and report.version > circuit.version:
        circuit = CLOSED
    if report.version >= circuit.version:
        circuit = _seen(circuit, report, now_ms)
    if circuit.state == "closed":
        return Verdict(circuit)
    if circuit.state == "open":
        if not report.wanted or now_ms - circuit.since_ms < probe_interval_ms(circuit):
            return Verdict(circuit)
        return Verdict(replace(circuit, since_ms=now_ms), 1)
    circuit = _in_this_second(circuit, now_ms)
    permits = min(report.wanted, circuit.allowance - circuit.admitted)
    return Verdict(replace(circuit, admitted=circuit.admitted + permits) if permits else circuit, permits)


def _seen(circuit: Circuit, report: Report, now_ms: int) -> Circuit:
    if report.refused:
        return refuse(circuit, report.version, now_ms)
    if not report.failures:
        if circuit.state == "half_open" and report.healthy:
            return replace(circuit, failures=0, succeeded=circuit.succeeded + report.healthy)
        return _after_success(circuit, now_ms) if report.healthy else circuit
    failures = report.failures + (0 if report.healthy else circuit.failures)
    if circuit.state == "open" or failures >= _tolerated(circuit):
        return open_(circuit, failures, now_ms)
    return replace(circuit, failures=failures)


def admits_from(circuit: Circuit, now_ms: int) -> int:
    """The earliest instant at which `admit` can say yes, given no further news: now, or the start of a new second."""
    if circuit.state == "open":
        return max(now_ms, circuit.since_ms + probe_interval_ms(circuit))
    exhausted = circuit.state == "half_open" and circuit.admitted >= circuit.allowance
    return max(now_ms, circuit.since_ms + PROBE_INTERVAL_MS) if exhausted else now_ms


def health_of(outcome: Outcome) -> bool | None:
    """What an outcome says of its provider's health; None: nothing.

    A `throttled` provider is well and paces by itself. A `permanent` refusal may have been ours, before any call.
    """
    if outcome.code == AUTH_CODE:
        return False
    match outcome.kind:
        case "sent":
            return True
        case "transient" | "ambiguous":
            return None if outcome.code.startswith(ADDRESSEE_CODE) else False
        case "throttled" | "permanent":
            return None
