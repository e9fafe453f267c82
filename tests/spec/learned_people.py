"""People who are made up for the cases of models: some with habits, some without, in three zones, who change slowly."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import numpy as np

PEOPLE: Final = 160
DAYS: Final = 360
BEGIN_S: Final = 1_600_041_600  # a midnight, UTC
ZONES_MIN: Final = (-300, 60, 540)
SURFACES: Final = ("web", "app", "mail")

Sign: TypeAlias = tuple[str, int, int, str]
"""Who, when (seconds UTC), minutes ahead of UTC, on which surface."""


def write_people(path: Path) -> None:
    """A year of activity: two of three people keep hours and a surface of their own, which move, the others do not."""
    chance = np.random.default_rng(11)
    rows: list[Sign] = []
    for person in range(PEOPLE):
        zone_min = ZONES_MIN[person % len(ZONES_MIN)]
        hour, width = (chance.normal(15, 5), 2.0) if person % 3 else (14.0, 5.0)
        surface, moves = int(chance.integers(0, 2)), int(chance.integers(60, DAYS * 2))
        for day in np.flatnonzero(chance.random(DAYS) < chance.uniform(0.05, 0.7)).tolist():
            local = (hour + chance.normal(0, width) + (2 if day > moves else 0)) % 24
            at_s = BEGIN_S + day * 86_400 + int(local * 3600) - zone_min * 60
            liked = (surface + (day > moves)) % len(SURFACES)
            on = liked if chance.random() < 0.8 else int(chance.integers(0, len(SURFACES)))
            rows.append((f"p{person}", at_s, zone_min, SURFACES[on]))
    write_rows(path, rows)


def write_rows(path: Path, rows: Sequence[Sign]) -> None:
    """A file of activity."""
    names = ("person", "ts_utc", "utc_offset_minutes", "surface")
    arrow: Any = importlib.import_module("pyarrow")  # it has no types of its own
    parquet: Any = importlib.import_module("pyarrow.parquet")
    parquet.write_table(arrow.table(dict(zip(names, zip(*rows, strict=True), strict=True))), path)


@lru_cache(maxsize=1)
def judge() -> dict[str, dict[str, Any]]:
    """What `clarion ml evaluate` says of them: the rows by what they tell."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "people.parquet"
        write_people(path)
        return evaluated(path)


def evaluated(path: Path) -> dict[str, dict[str, Any]]:
    """What `clarion ml evaluate` says of a file: the rows by what they tell."""
    command = [sys.executable, "-m", "clarion.entrypoints.cli.main", "ml", "evaluate", str(path), "--json"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    return {row["what"]: row for row in json.loads(done.stdout)["rows"]}
