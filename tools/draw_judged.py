"""Draws what `clarion ml evaluate --json` said: `python -m tools.draw_judged REPORT.json FOLDER`. Needs matplotlib."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

BUCKETS: Final = ("nothing", "1 to 5", "6 to 19", "20 past hours and more", "all")
HIT: Final = "predicted hour in own future window"
SURFACE: Final = "top surface"

Rows = dict[str, dict[str, Any]]


def draw(rows: Rows, what: str, ways: tuple[str, ...], path: Path) -> None:
    """One picture: a group of bars for how much was known of somebody, a bar for each way; lines are intervals."""
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(9, 4))
    width = 0.8 / len(ways)
    for nth, way in enumerate(ways):
        names = [f"{what}: {bucket}" + ("" if way == "model" else f": by {way}") for bucket in BUCKETS]
        values = [rows[name]["value"] or 0.0 for name in names]
        low = [value - (rows[name]["low"] or value) for name, value in zip(names, values, strict=True)]
        high = [(rows[name]["high"] or value) - value for name, value in zip(names, values, strict=True)]
        places = [group + nth * width for group in range(len(BUCKETS))]
        axes.bar(places, values, width, yerr=(low, high), capsize=2, label=way)
    groups = [f"{bucket}\n{rows[f'{what}: {bucket}']['people']:,} people" for bucket in BUCKETS]
    axes.set_xticks([group + 0.4 - width / 2 for group in range(len(BUCKETS))], groups)
    axes.set_ylabel("%")
    axes.set_title(f"{what}, by what was known before")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main(report: Path, folder: Path) -> None:
    """Draw both pictures of a report into a folder."""
    matplotlib: Any = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "clarion"
    rows: Rows = {row["what"]: row for row in msgspec.json.decode(report.read_bytes())["rows"]}
    draw(rows, HIT, ("model", "raw history", "global local", "global UTC", "random"), folder / "hours.svg")
    draw(rows, SURFACE, ("model", "last used", "majority"), folder / "surfaces.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
