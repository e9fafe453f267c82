"""The words of `clarion ml`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from clarion.entrypoints.cli.options import taking

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
def card(
    file: Annotated[Path, typer.Argument(help="Parquet as for `clarion ml evaluate`.")],
    folder: Annotated[Path, typer.Argument(help="Where the card goes.")],
    name: Annotated[str, typer.Option(help="Of the population.")] = "activity",
    until: Annotated[datetime | None, typer.Option(help="Leave out what comes later (UTC).")] = None,
) -> None:
    """Fit a model on the last 400 days of a file as a tenant's is fitted, and write its card. Needs no instance."""
    from clarion.entrypoints.cli.ml_card import CardOptions, run_card

    raise typer.Exit(run_card(CardOptions(file, folder, name, until)))


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


TenantOption = Annotated[str, typer.Option("--tenant", help="Name of a tenant; all of them by default.")]


@app.command()
def off(
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = "",
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
) -> None:
    """Let no model decide anything, of one tenant or all: at once in all processes, and until `clarion ml on`."""
    from clarion.entrypoints.cli.ml_switch import SwitchOptions, switch_models

    raise typer.Exit(switch_models(SwitchOptions(data=data, tenant=tenant, off=True, reason=reason)))


@app.command()
def on(
    data: DataOption = DEFAULT_DATA,
    tenant: TenantOption = "",
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
) -> None:
    """Let models decide again, as the settings said before `clarion ml off`."""
    from clarion.entrypoints.cli.ml_switch import SwitchOptions, switch_models

    raise typer.Exit(switch_models(SwitchOptions(data=data, tenant=tenant, off=False, reason=reason)))


class FeastWords(msgspec.Struct, frozen=True):
    """What `clarion ml feast` was called with."""

    folder: Annotated[Path, typer.Argument(help="Where the repository goes.")]
    tenant: Annotated[str, typer.Option(help="Whose features.")] = "default"
    project: Annotated[str, typer.Option(help="Its name for Feast.")] = "clarion"
    redis: Annotated[str, typer.Option(help="Feast's online store, as Feast writes it.")] = "localhost:6379"
    days: Annotated[int, typer.Option(min=1, max=400, help="How far back.")] = 30
    data: DataOption = DEFAULT_DATA


@app.command()
@taking(FeastWords)
def feast(words: FeastWords) -> None:
    """Write a tenant's features, as they were on each day, as a repository that Feast takes as it is."""
    from clarion.entrypoints.cli.ml_feast import FeastOptions, export_features

    store = (words.project, words.redis)
    options = FeastOptions(words.data, words.folder, words.tenant, *store, words.days, every_d=1)
    raise typer.Exit(export_features(options))


@app.command("vertex-job")
def vertex_job(
    image: Annotated[str, typer.Argument(help="The container, as deploy/trainer.Dockerfile builds it.")],
    tenant: Annotated[str, typer.Option(help="Whose models; all by default.")] = "",
    service_account: Annotated[str, typer.Option(help="The account that the job runs as.")] = "",
    network: Annotated[str, typer.Option(help="A network from which the stores can be reached.")] = "",
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE of a CLARION_* setting. Repeatable.")
    ] = None,
) -> None:
    """Print the request of a Vertex AI job that trains, checked, for you to send. Needs no instance."""
    from clarion.entrypoints.cli.ml_vertex import print_job

    print_job(image, tenant, service_account, network, env or [])
