"""Judges the models on populations cut from one file: `python -m tools.judge_populations ACTIVITY.parquet > FILE.md`.

One population flatters whoever chose a default by it. These are the projects of the file alone, stretches of its time,
few people, people who come once, and people whose clocks are moved by nine hours: each is fitted and judged on its own,
as `clarion ml evaluate` would. Takes a minute and a half.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from clarion.adapters.models.parquet import read_columns
from clarion.intelligence.training.evaluate import Row, arrange, evaluate

Columns = dict[str, npt.NDArray[Any]]
Chosen = npt.NDArray[np.bool_]

WANTED: Final = ("person", "ts_utc", "utc_offset_minutes", "surface", "project")
SHOWN: Final = {
    "predicted hour in own future window: 20 past hours and more": "hour, ≥ 20 past",
    "predicted hour in own future window: all": "hour, all",
    "70 % set: share of the next day's hours inside": "70 % set",
    "70 % set: its size": "its hours",
    "first day of a stranger in a window of 3 h": "stranger, 3 h",
    "first day of a stranger in a window of 6 h": "stranger, 6 h",
    "top surface: all": "surface",
    "top surface: 1 to 5": "surface, 1 to 5 signs",
}
FEW: Final = 300
LEAST_SIGNS: Final = 5
MOVED_MIN: Final = 9 * 60
DAY_MIN: Final = 24 * 60


def main(file: str) -> None:
    """Judge each population, and print a table: the model's figure, and what needs no model."""
    columns = {name: np.asarray(values) for name, values in read_columns(Path(file), WANTED).items()}
    order = np.argsort(columns["ts_utc"], kind="stable")
    columns = {name: values[order] for name, values in columns.items()}
    print("| population | people judged | " + " | ".join(SHOWN.values()) + " |")
    print("|---" * (len(SHOWN) + 2) + "|")
    for name, one in populations(columns):
        activity = arrange(*(one[column].tolist() for column in WANTED[:4]))
        report = evaluate(activity, None, _hear)
        rows = {row.what: row for row in report.rows}
        cells = " | ".join(_cell(rows[what]) if what in rows else "–" for what in SHOWN)
        print(f"| {name} | {report.judged:,} | {cells} |", flush=True)


def populations(columns: Columns) -> Iterator[tuple[str, Columns]]:
    """The whole file, and what is cut of it."""
    yield "all of the file", columns
    for project in np.unique(columns["project"]).tolist():
        yield f"{project} alone", _where(columns, columns["project"] == project)
    at = columns["ts_utc"]
    yield "half a year of 2015", _where(columns, (at >= _s(2015, 1, 1)) & (at < _s(2015, 7, 15)))
    yield "a year and a half from 2021", _where(columns, (at >= _s(2021, 1, 1)) & (at < _s(2022, 7, 15)))
    chance = np.random.default_rng(1)
    people, counts = np.unique(columns["person"], return_counts=True)
    few = chance.choice(people[counts >= LEAST_SIGNS], FEW, replace=False)
    yield f"{FEW} people", _where(columns, np.isin(columns["person"], few))
    mixed = chance.permutation(len(at))
    _, first = np.unique(columns["person"][mixed], return_index=True)
    once = np.zeros(len(at), np.bool_)
    once[mixed[first]] = True
    yield "one sign a person", _where(columns, once)
    moved = _where(columns, (at >= _s(2016, 9, 1)) & (at < _s(2018, 3, 1)))
    turned = moved["utc_offset_minutes"].astype(np.int64) + MOVED_MIN + DAY_MIN // 2
    yield "clocks nine hours ahead", {**moved, "utc_offset_minutes": turned % DAY_MIN - DAY_MIN // 2}


def _where(columns: Columns, chosen: Chosen) -> Columns:
    return {name: values[chosen] for name, values in columns.items()}


def _s(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp()


def _cell(row: Row) -> str:
    if row.value is None:
        return "–"
    beaten = "" if row.baseline is None else f" ({row.baseline:.1f})"
    return f"{row.value:.1f}{beaten}"


def _hear(phase: str, share: float) -> None:
    """Nobody waits for it."""


if __name__ == "__main__":
    main(sys.argv[1])
