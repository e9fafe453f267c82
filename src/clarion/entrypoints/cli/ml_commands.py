"""The words of `clarion ml`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(
    no_args_is_help=True, help="Models: judge them on people, and rebuild what they know."
)

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
EverybodyOption = Annotated[
    bool, typer.Option("--everybody", help="Also users who have a record; else those without.")
]
DEFAULT_DATA: Final = Path(".clarion")


@app.command()
def evaluate(
    file: Annotated[
        Path,
        typer.Argument(help="Parquet with person, ts_utc, utc_offset_minutes and, if you like, surface."),
    ],
    begin: Annotated[
        datetime | None,
        typer.Option(
            "--from", help="Results count from this UTC date on; by default from two thirds of the time."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Draw the results into this file.")] = None,
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Judge the production models on when people were there: tuned on half of them, reported on the others.

    Exit 1 where a figure is not where it has to be. Needs no instance.
    """
    from clarion.entrypoints.cli.ml_evaluate import EvaluateOptions, run_evaluate

    raise typer.Exit(run_evaluate(EvaluateOptions(file, begin, html, json)))


@app.command()
def replay(
    file: Annotated[
        Path,
        typer.Argument(help="CSV of randomised decisions: the arm, what came of it, what was known before."),
    ],
    arm: Annotated[
        str | None, typer.Option(help="Column of the arm; arm, action, treatment or segment.")
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(help="Column of the reward, 0 to 1; reward, outcome, visit, click, conversion."),
    ] = None,
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Judge exploration and off-policy estimates on decisions whose odds are known.

    Exit 1 where a figure is not where it has to be. Needs no instance.
    """
    from clarion.entrypoints.cli.ml_replay import ReplayOptions, run_replay

    raise typer.Exit(run_replay(ReplayOptions(file, arm, reward, json)))


@app.command()
def rebuild(
    data: DataOption = DEFAULT_DATA,
    tenant: Annotated[str, typer.Option(help="Name of a tenant; all of them by default.")] = "",
    everybody: EverybodyOption = False,  # noqa: FBT002  typer makes a flag of it
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Make feature records anew of what the database still knows of users."""
    from clarion.entrypoints.cli.ml_rebuild import RebuildOptions, rebuild_features

    raise typer.Exit(rebuild_features(RebuildOptions(data, tenant, everybody, json)))
