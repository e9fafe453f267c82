"""`compliance_sweep`: 100 000 decisions about random users, zones and instants, each compared with the oracle."""

from __future__ import annotations

import time
from typing import Final

from bench.harness import Result, finish, say
from clarion.testing.rule_oracle import Swept, sweep

DECISIONS: Final = 100_000
PART: Final = 10_000


def run() -> Result:
    """Sweep in parts, each by its own seed."""
    started = time.perf_counter()
    parts: list[Swept] = []
    for seed in range(DECISIONS // PART):
        parts.append(sweep(seed, PART))
        say(f"seed {seed}: {parts[-1]}")
    forbidden, differing = sum(part.forbidden for part in parts), sum(part.differing for part in parts)
    return finish(
        Result(
            "compliance_sweep",
            forbidden,
            "sends inside a forbidden window, or against a user's word",
            "0, and no verdict differs from the oracle's",
            forbidden == 0 and differing == 0,
            detail={
                "decisions": sum(part.decisions for part in parts),
                "allowed": sum(part.allowed for part in parts),
                "deferred": sum(part.deferred for part in parts),
                "blocked": sum(part.blocked for part in parts),
                "differing": differing,
                "seconds": round(time.perf_counter() - started, 1),
            },
        )
    )
