"""The board's script and `circuit.settle` say the same, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.adapters.valkey.client import connect
from clarion.adapters.valkey.provider_board import ValkeyProviderBoard
from clarion.delivery.circuit import Report, Verdict
from clarion.testing.clock import ManualClock
from clarion.testing.provider_board import InMemoryProviderBoard
from clarion.testing.valkey_servers import ValkeyServer

counts = st.integers(0, 12)
reports = st.builds(Report, counts, counts, st.booleans(), st.integers(0, 2_000), st.integers(0, 3))
pauses_ms = st.sampled_from([0, 0, 300, 1_200, 31_200])
"""Not near the second and the half minute that the rules are about: Valkey's own clock goes on meanwhile."""


def gist(verdict: Verdict) -> tuple[object, ...]:
    circuit = verdict.circuit
    return (
        *(circuit.state, circuit.failures, circuit.allowance, circuit.admitted, circuit.succeeded),
        *(circuit.reason, circuit.version, verdict.permits),
    )


async def compare(server: ValkeyServer, steps: list[tuple[int, Report]]) -> None:
    clients = await connect(server.url)
    clock, key = ManualClock(), (os.urandom(16), "relay")
    real, fake = ValkeyProviderBoard(clients), InMemoryProviderBoard(clock.now_ms)
    try:
        for pause_ms, report in steps:
            _age(server, key, pause_ms)
            clock.advance(pause_ms / 1000)
            found = (await real.settle({key: report}))[key]
            assert gist(found) == gist((await fake.settle({key: report}))[key])
    finally:
        await clients.close()


def _age(server: ValkeyServer, key: tuple[bytes, str], pause_ms: int) -> None:
    """Let time pass for the stored breaker: what it remembers lies further back."""
    for name in server.ask("KEYS", f"provider_circuit:*{key[0].hex()}:*"):
        server.ask("HINCRBY", name, "since_ms", str(-pause_ms))


@pytest.mark.timeout(120)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(pauses_ms, reports), min_size=1, max_size=12))
def test_the_script_follows_the_rules(server: ValkeyServer, steps: list[tuple[int, Report]]):
    asyncio.run(compare(server, steps))
