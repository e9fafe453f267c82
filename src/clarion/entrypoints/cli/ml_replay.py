"""`clarion ml replay`: exploration and off-policy estimates judged on a file of randomised decisions."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import msgspec
from rich.console import Console

from clarion.entrypoints.cli.ml_evaluate import show_rows
from clarion.intelligence.training.trial import judge_trial, read_trial
from clarion.kernel.errors import Invalid


class ReplayOptions(msgspec.Struct, frozen=True):
    """What `clarion ml replay` was asked for. `arm`, `reward`: names of columns; None: the usual ones."""

    file: Path
    arm: str | None = None
    reward: str | None = None
    json: bool = False


def run_replay(options: ReplayOptions) -> int:
    """Judge and print; 0 where every figure is where it has to be, else 1. Raises Invalid on a wrong file."""
    trial = read_trial(read_csv(options.file), options.arm, options.reward)
    with Console(stderr=True).status("replaying"):
        report = judge_trial(trial)
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        show_rows(f"{report.trials:,} randomised decisions among {len(report.arms)} arms", report.rows)
    return 0 if report.ok else 1


def read_csv(path: Path) -> dict[str, list[str]]:
    """A CSV file's columns by name. Raises Invalid where it cannot be read, or a line has another number of fields."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names: list[str] = next(reader, list[str]())
            columns: list[list[str]] = [[] for _ in names]
            for row in reader:
                if len(row) != len(names):
                    raise Invalid(f"{path}, line {reader.line_num}: {len(row)} fields, not {len(names)}")
                for column, value in zip(columns, row, strict=True):
                    column.append(value)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Invalid(f"{path} cannot be read as CSV: {error}") from None
    if not names:
        raise Invalid(f"{path} is empty: its first line has to name the columns")
    return dict(zip(names, columns, strict=True))
