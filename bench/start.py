"""`start`: from the command to the ready line, on a directory that was used before."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from bench.harness import Result, finish, median, say
from clarion.testing.instance import clarion_up

BAR_S: Final = 8.0
ROUNDS: Final = 3


def run() -> Result:
    """Start once on an empty directory, then ROUNDS times again; the median of those."""
    with tempfile.TemporaryDirectory(prefix="clarion-bench-") as folder:
        with clarion_up(Path(folder) / "data") as instance:
            first = instance.seconds
        say(f"first start {first:.2f} s")
        again: list[float] = []
        for _ in range(ROUNDS):
            with clarion_up(Path(folder) / "data") as instance:
                again.append(instance.seconds)
            say(f"start again {again[-1]:.2f} s")
    value = median(again)
    detail = {"first_s": round(first, 3), "rounds_s": [round(seconds, 3) for seconds in again]}
    return finish(Result("start", round(value, 3), "s", f"< {BAR_S} s", value < BAR_S, detail=detail))
