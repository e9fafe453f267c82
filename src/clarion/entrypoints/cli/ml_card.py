"""`clarion ml card`: a model fitted on a file of activity by the pipeline that fits tenants' models, and its card."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import typer

from clarion.adapters.models.parquet import read_columns
from clarion.entrypoints.training import WINDOW_DAYS
from clarion.intelligence.features.signs import Signs
from clarion.intelligence.models import DEFAULTS, encode_model
from clarion.intelligence.models.registered import Registered, checksum_of
from clarion.intelligence.training.card import draw_calibration, write_card
from clarion.intelligence.training.evaluate import arrange
from clarion.intelligence.training.pipeline import MOST_SIGNS, Fitted, fit_and_judge, thin_out
from clarion.kernel.errors import Invalid
from clarion.kernel.local_time import DAY_MS

_COLUMNS: Final = ("person", "ts_utc", "utc_offset_minutes")


class CardOptions(msgspec.Struct, frozen=True):
    """Of what file, under which name of the population, and into which folder.

    `until`: what comes later (UTC) is left out; None: nothing is.
    """

    file: Path
    folder: Path
    name: str
    until: datetime | None = None


def run_card(options: CardOptions) -> int:
    """Fit, judge, write `NAME.md` and `NAME.svg`; 0. Raises Invalid on a wrong file, or one with too little in it.

    The same file gives the same card.
    """
    columns = read_columns(options.file, _COLUMNS, ("surface",))
    who, when, ahead = (columns[name] for name in _COLUMNS)
    activity = arrange(who, when, ahead, columns.get("surface"))
    now_ms = int(activity.at_ms[-1]) + 1
    if options.until is not None:
        now_ms = int(options.until.replace(tzinfo=UTC).timestamp() * 1000)
    signs = activity.signs((activity.at_ms >= now_ms - WINDOW_DAYS * DAY_MS) & (activity.at_ms < now_ms))
    share = 1
    while len(signs) > MOST_SIGNS:
        share *= 2
        signs = thin_out(signs, share)
    typer.echo(f"{len(signs):,} signs of the last {WINDOW_DAYS} days", err=True)
    write_files(options.folder, options.name, options.name, _fit(signs, now_ms))
    typer.echo(str(options.folder / f"{options.name}.md"))
    return 0


def write_files(folder: Path, name: str, tenant: str, model: Registered) -> None:
    """Write a model's card, with its picture beside it where there is one."""
    folder.mkdir(parents=True, exist_ok=True)
    safe = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    picture = draw_calibration(model.metrics.calibration)
    if picture:
        (folder / f"{safe}.svg").write_text(picture, "utf-8")
    (folder / f"{safe}.md").write_text(write_card(tenant, model, f"{safe}.svg" if picture else ""), "utf-8")


def _fit(signs: Signs, now_ms: int) -> Registered:
    fitted: Fitted | None = fit_and_judge(
        signs.where(np.argsort(signs.at_ms, kind="stable")), DEFAULTS, now_ms
    )
    if fitted is None:
        raise Invalid("the file holds too little to fit anything: 30 people and 12 days are needed")
    model = msgspec.structs.replace(fitted.model, name="eb-1")
    return Registered(
        name="eb-1",
        number=1,
        status="live" if fitted.choice == "promote" else "refused",
        parent=DEFAULTS.name,
        reason=fitted.reason,
        from_ms=model.from_ms,
        to_ms=model.to_ms,
        metrics=fitted.metrics,
        checksum=checksum_of(encode_model(model)),
        created_ms=now_ms,
    )
