"""Draws calibration and a trial: `python -m tools.draw_models ACTIVITY.parquet TRIAL.csv FOLDER`.

The drawings of docs/ml, of real runs: nothing in them is put in by hand. Needs `clarion[ml]` and matplotlib.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from clarion.adapters.models.parquet import read_columns
from clarion.entrypoints.cli.ml_replay import read_csv
from clarion.intelligence.models import TenantModel, send_time
from clarion.intelligence.training.arms import estimate_fixed
from clarion.intelligence.training.cuts import Cut, cut
from clarion.intelligence.training.estimate import Estimate
from clarion.intelligence.training.evaluate import Activity, Row, arrange
from clarion.intelligence.training.evaluate.habits import HORIZON_MS
from clarion.intelligence.training.evaluate.run import split_of
from clarion.intelligence.training.evaluate.walk import fit_before
from clarion.intelligence.training.trial import judge_trial, read_trial

_plots: Any = importlib.import_module("matplotlib.pyplot")  # its types are half unknown

BLUE, GREY, RED = "#3f7fd6", "#98a2b8", "#d65a45"
MASSES: Final = np.arange(0.1, 0.96, 0.05).tolist()
HALF: Final = 0.5


def main(activity_file: str, trial_file: str, folder: str) -> None:
    """Run both, and write the drawings."""
    _plots.rcParams.update({"svg.hashsalt": "clarion", "font.size": 10, "axes.spines.top": False})
    columns = read_columns(Path(activity_file), ("person", "ts_utc", "utc_offset_minutes"), ("surface",))
    activity = arrange(
        columns["person"], columns["ts_utc"], columns["utc_offset_minutes"], columns.get("surface")
    )
    model = fit_before(activity, split_of(activity))
    _draw_calibration(_cuts(activity), model, Path(folder) / "calibration.svg")
    trial = read_trial(read_csv(Path(trial_file)))
    estimates = [(name, estimate_fixed(trial, nth)) for nth, name in enumerate(trial.arms)]
    _draw_trial(estimates, judge_trial(trial).rows, Path(folder) / "trial.svg")


def _cuts(activity: Activity) -> list[Cut]:
    """Of those who are judged, after the split."""
    times = range(split_of(activity), int(activity.at_ms[-1]) - HORIZON_MS, HORIZON_MS)
    judged = np.flatnonzero(activity.judged[activity.person])
    return cut(activity.signs(judged), list(times), HORIZON_MS)


def _draw_calibration(cuts: Sequence[Cut], model: TenantModel, path: Path) -> None:
    """What share of the future lies inside sets of each predicted mass, of who is known and of who is not."""
    figure, axes = _plots.subplots(figsize=(4.4, 4))
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for is_known, colour, label in ((True, BLUE, "people known well"), (False, RED, "people hardly known")):
        inside = [_inside(cuts, model, mass, is_known=is_known) for mass in MASSES]
        axes.plot(MASSES, inside, color=colour, marker="o", ms=3, label=label)
    axes.set_xlabel("predicted mass of a set of hours")
    axes.set_ylabel("share of the future inside")
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _inside(cuts: Sequence[Cut], model: TenantModel, mass: float, *, is_known: bool) -> float:
    inside = total = 0.0
    for one in cuts:
        counted = send_time.presence(one.records, model.send_time.mix, one.at_ms)
        rows = (send_time.certainty(counted, model.send_time) >= HALF) == is_known
        chosen = send_time.hour_set(send_time.posterior(counted[rows], model.send_time), mass)
        inside += float(one.presence[rows][chosen].sum())
        total += float(one.presence[rows].sum())
    return inside / max(total, 1)


def _draw_trial(estimates: Sequence[tuple[str, Estimate]], rows: Sequence[Row], path: Path) -> None:
    figure, (left, right) = _plots.subplots(1, 2, figsize=(8, 2.8))
    truth = {
        row.what.removeprefix("true rate: "): row.value or 0 for row in rows if row.what.startswith("true")
    }
    for place, (name, found) in enumerate(estimates):
        values, errors = [100 * found.ips, 100 * found.snips], [196 * found.ips_se, 196 * found.snips_se]
        left.errorbar([place - 0.15, place + 0.15], values, yerr=errors, fmt="o", color=BLUE, ms=4, lw=1)
        left.hlines(truth[name], place - 0.3, place + 0.3, color=RED, lw=1)
    left.set_xticks(range(len(estimates)), [name for name, _ in estimates], fontsize=8)
    left.set_ylabel("% who visit")
    left.set_title("estimates (IPS, SNIPS) and the truth", fontsize=9)
    played = [row for row in rows if row.what.startswith("exploration replayed")]
    values = [row.value or 0 for row in played]
    spread = [(row.high or 0) - (row.value or 0) for row in played]
    right.bar(range(len(played)), values, 0.3, color=BLUE, yerr=spread, error_kw={"lw": 0.8})
    right.axhline(max(truth.values()), color=RED, lw=1)
    right.set_xticks(range(len(played)), [row.what.rpartition(": ")[2] for row in played], fontsize=8)
    right.set_title("6 000 decisions replayed, and the best arm", fontsize=9)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401  matplotlib's
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    _plots.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:4])
