"""What the workers of a region know together of accounts.

HASH `provider_circuit:{bb}:<tenant>:<account>` is a breaker that is not closed, HASH `provider_stats:{bb}:…` holds the
figures by destination. Each process touches them once a second, with one script call for each of the two.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from clarion.adapters.valkey.client import ValkeyClients, load_script
from clarion.adapters.valkey.keyed import KeyedCall, KeyedScript, bucket_of, run_keyed
from clarion.delivery.circuit import (
    CREDENTIALS_INTERVAL_MS,
    FAILURES_TO_OPEN,
    FIRST_ALLOWANCE,
    FULL_PACE,
    PROBE_INTERVAL_MS,
    Circuit,
    CircuitKey,
    Report,
    Verdict,
)
from clarion.delivery.figures import HALF_LIFE_MS, MAX_DESTINATIONS, Tallies, Tally

TIMEOUT_S: Final = 1.0
"""A breaker that opened is told once a second: later it is no news."""

FAILURES_KEPT_MS: Final = 60_000
"""Failures of a closed breaker that lie further apart are not in a row."""

BREAKER_KEPT_MS: Final = 3_600_000
"""An account that nobody asks for so long is taken for well again."""

FIGURES_KEPT_MS: Final = 15 * HALF_LIFE_MS
"""By then a count of 10 000 has faded to less than one."""

_encode: Final = msgspec.msgpack.Encoder().encode
_tally: Final = msgspec.msgpack.Decoder(Tally).decode


class ValkeyProviderBoard:
    """`delivery.board.ProviderBoard` on Valkey: one script call each (on a cluster: one a bucket of accounts)."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        rules = (
            FAILURES_TO_OPEN,
            PROBE_INTERVAL_MS,
            CREDENTIALS_INTERVAL_MS,
            FIRST_ALLOWANCE,
            FULL_PACE,
            FAILURES_KEPT_MS,
            BREAKER_KEPT_MS,
        )
        self._settle = KeyedScript(load_script("circuits_settle"), rules, TIMEOUT_S)
        bounds = (HALF_LIFE_MS, MAX_DESTINATIONS, FIGURES_KEPT_MS)
        self._add = KeyedScript(load_script("figures_add"), bounds, TIMEOUT_S)

    async def settle(self, reports: Mapping[CircuitKey, Report]) -> dict[CircuitKey, Verdict]:
        """Move breakers; see `ProviderBoard.settle`."""
        calls = [_call("circuit", key, _report(report)) for key, report in reports.items()]
        answers = await self._run(self._settle, calls)
        return {key: _verdict(answer) for key, answer in zip(reports, answers, strict=True)}

    async def add(
        self, tallies: Mapping[CircuitKey, Tallies], wanted: Collection[CircuitKey], now_ms: int
    ) -> dict[CircuitKey, Tallies]:
        """Add figures and read them; see `ProviderBoard.add`."""
        keys = [*tallies, *(key for key in wanted if key not in tallies)]
        calls = [_call("stats", key, _encode(tallies[key]) if key in tallies else b"") for key in keys]
        answers = await self._run(self._add, calls)
        return {key: _tallies(answer, now_ms) for key, answer in zip(keys, answers, strict=True) if answer}

    async def _run(self, script: KeyedScript, calls: Sequence[KeyedCall]) -> list[Any]:
        return await run_keyed(self._clients.write, script, calls, is_cluster=self._clients.is_cluster)


def _call(kind: str, key: CircuitKey, argument: bytes) -> KeyedCall:
    tenant_id, name = key
    bucket = bucket_of(tenant_id, name.encode())
    text = f"provider_{kind}:{{{bucket:02d}}}:{tenant_id.hex()}:{name}"
    return KeyedCall(bucket, text.encode(), (argument,))


def _report(report: Report) -> bytes:
    return b"%d,%d,%d,%d,%d" % (
        report.healthy,
        report.failures,
        report.refused,
        report.wanted,
        report.version,
    )


def _verdict(answer: Sequence[Any]) -> Verdict:
    *fields, permits = answer
    known = zip(Circuit.__struct_fields__, map(_text, fields), strict=True)
    return Verdict(msgspec.convert(dict(known), Circuit), permits)


def _text(field: Any) -> Any:  # noqa: ANN401  a number, or the bytes of a word
    return field.decode() if isinstance(field, bytes) else field


def _tallies(answer: Sequence[Any], now_ms: int) -> Tallies:
    """Destinations with their tallies, from a flat list with each tally's age between."""
    return {
        destination.decode(): msgspec.structs.replace(_tally(packed), at_ms=now_ms - age_ms)
        for destination, age_ms, packed in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
    }
