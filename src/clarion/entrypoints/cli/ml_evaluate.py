"""`clarion ml evaluate`: the production models judged on a file of activity."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from clarion.adapters.models.parquet import read_columns
from clarion.intelligence.training.evaluate import Activity, Report, Row, arrange, evaluate

_COLUMNS: Final = ("person", "ts_utc", "utc_offset_minutes")
_MARKS: Final = {True: "✓", False: "✗", None: ""}
_WIDE: Final = 220
"""Columns of a table that goes into a file."""

_BAR_PX: Final = 420
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1a202c}"
    "table{border-collapse:collapse}td,th{padding:.2rem .6rem;text-align:left;font-variant-numeric:tabular-nums}"
    "svg text{font-size:11px}.bad{color:#b22}.good{color:#271}"
)


class EvaluateOptions(msgspec.Struct, frozen=True):
    """What `clarion ml evaluate` was asked for. `begin`: UTC; None: two thirds of the time that the file spans."""

    file: Path
    begin: datetime | None = None
    html: Path | None = None
    json: bool = False


def run_evaluate(options: EvaluateOptions) -> int:
    """Judge, print, draw; 0 where every figure is where it has to be, else 1. Raises Invalid on a wrong file."""
    columns = read_columns(options.file, _COLUMNS, ("surface",))
    who, when, ahead = (columns[name] for name in _COLUMNS)
    activity = arrange(who, when, ahead, columns.get("surface"))
    began = time.monotonic()
    report = _evaluate(activity, options.begin)
    if options.html is not None:
        options.html.write_text(draw_report(report), "utf-8")
    if options.json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        show_rows(f"{report.judged:,} of {report.people:,} people judged, from {report.split}", report.rows)
        sys.stdout.write(f"judged in {time.monotonic() - began:.0f} s\n")
    return 0 if report.ok else 1


def _evaluate(activity: Activity, begin: datetime | None) -> Report:
    from_ms = None if begin is None else int(begin.replace(tzinfo=UTC).timestamp() * 1000)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        phases: dict[str, TaskID] = {}

        def tell(phase: str, share: float) -> None:
            if phase not in phases:
                phases[phase] = progress.add_task(phase, total=1.0)
            progress.update(phases[phase], completed=share)

        return evaluate(activity, from_ms, tell)


def show_rows(title: str, rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    table = Table(title=title)
    for head in ("", "figure", "95 %", "has to reach", "baseline", "people", ""):
        table.add_column(head, no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _cells(row: Row) -> tuple[str, ...]:
    value = "–" if row.value is None else f"{row.value:g} {row.unit}"
    interval = "" if row.low is None else f"{row.low:g} to {row.high:g}"
    floor = "" if row.floor is None else f"{row.floor:g}" + ("" if row.aim is None else f" (aim {row.aim:g})")
    baseline = "" if row.baseline is None else f"{row.baseline:g} {row.baseline_is}"
    people = f"{row.people:,}" if row.people else ""
    return (row.what, value, interval, floor, baseline, people, _MARKS[row.ok] or row.note)


def draw_report(report: Report) -> str:
    """The report as one HTML page without anything from elsewhere: every share as a bar with its interval."""
    rows = "".join(_draw_row(row) for row in report.rows)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Models judged</title>'
        f"<style>{_STYLE}</style></head><body><h1>Models judged on {report.people:,} people</h1>"
        f"<p>Tuned on half of them before {escape(report.split)}, reported on the {report.judged:,} others after it. "
        "A line is the interval of 95 % over people, a tick the floor, a dot the baseline.</p>"
        f"<table>{rows}</table></body></html>\n"
    )


def _draw_row(row: Row) -> str:
    mark = {True: '<span class="good">✓</span>', False: '<span class="bad">✗</span>', None: ""}[row.ok]
    value = "–" if row.value is None else f"{row.value:g} {escape(row.unit)}"
    picture = "".join(_bar(row)) if row.unit == "%" and row.value is not None else escape(row.note)
    return f"<tr><td>{escape(row.what)}</td><td>{value}</td><td>{picture}</td><td>{mark}</td></tr>"


def _bar(row: Row) -> Iterator[str]:
    """A share from 0 to 100 % as SVG."""

    def x(percent: float | None) -> float:
        return round((percent or 0) / 100 * _BAR_PX, 1)

    yield f'<svg width="{_BAR_PX}" height="16" role="img" aria-label="{row.value} %">'
    yield f'<rect y="3" width="{x(row.value)}" height="10" fill="#9cc2e8"/>'
    if row.low is not None:
        yield f'<path d="M{x(row.low)} 8H{x(row.high)}" stroke="#1f4e79" stroke-width="2"/>'
    if row.floor is not None:
        yield f'<path d="M{x(row.floor)} 0V16" stroke="#b22" stroke-width="1.5"/>'
    if row.baseline is not None:
        yield f'<circle cx="{x(row.baseline)}" cy="8" r="3" fill="#777"/>'
    yield "</svg>"
