"""`memory`: proportional set size of `clarion up`, all its processes, when nothing happens."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from bench.harness import Result, finish, say
from clarion.testing.instance import clarion_up, family_of, role_of, words_of

BAR_MB: Final = 600.0
IDLE_S: Final = 5.0

_PSS: Final = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def run() -> Result:
    """Start, let it be idle for IDLE_S, and add up what each process has."""
    with clarion_up() as instance:
        time.sleep(IDLE_S)
        sizes = {pid: _pss_mb(pid) for pid in family_of(instance.pid)}
        detail: dict[str, float] = {}
        for pid, size in sizes.items():
            name = _name(pid)
            detail[name] = round(detail.get(name, 0.0) + size, 1)
    for name, size in sorted(detail.items(), key=lambda item: -item[1]):
        say(f"{size:8.1f} MB  {name}")
    value = sum(sizes.values())
    return finish(
        Result(
            "memory",
            round(value, 1),
            "MB",
            f"< {BAR_MB} MB",
            value < BAR_MB,
            detail={"by_process_mb": detail},
        )
    )


def _pss_mb(pid: int) -> float:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def _name(pid: int) -> str:
    words = words_of(pid)
    return role_of(pid) or (words[0].rpartition("/")[2].partition(":")[0] if words else "gone")
