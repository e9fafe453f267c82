"""The words of `clarion dlq`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import typer

app: Final = typer.Typer(
    no_args_is_help=True, help="What could not be worked on: dead letters and parked messages."
)

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", "-w", help="tenant=…, reason=…, channel=… or category=…; repeatable."),
]
Names = Annotated[list[str], typer.Argument(help="Ids of deliveries, or numbers of parked messages.")]
DEFAULT_DATA: Final = Path(".clarion")


@app.command("list")
def list_(
    where: WhereOption = None,
    state: Annotated[
        Literal["dead", "redriven", "all"], typer.Option(help="Those that wait, those redriven, or both.")
    ] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    data: DataOption = DEFAULT_DATA,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Show dead letters and parked messages, the oldest first."""
    from clarion.entrypoints.cli.dlq import Page, list_letters, read_choice

    redriven = {"dead": False, "redriven": True, "all": None}[state]
    list_letters(data, read_choice(where or []), Page(redriven, limit), json=json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The id of a delivery, or the number of a parked message.")],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Print one of them, as JSON."""
    from clarion.entrypoints.cli.dlq import show as show_one

    show_one(data, name)


@app.command()
def redrive(
    names: Annotated[list[str], typer.Argument(help="Ids or numbers, or the word `all`.")],
    where: WhereOption = None,
    rate: Annotated[float, typer.Option("--rate", help="How many become due a second.", min=0.001)] = 100.0,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Open deliveries anew, at a pace; parked messages go back to where they came from.

    `all` takes all dead letters, as far as --where does not choose among them. Stopped in the middle, it can be called
    again: nothing is redriven twice.
    """
    from clarion.entrypoints.cli.dlq import read_choice, redrive_all, redrive_named

    choice = read_choice(where or [])
    code = redrive_all(data, choice, rate) if names == ["all"] else redrive_named(data, names, rate)
    raise typer.Exit(code)


@app.command()
def drop(names: Names, data: DataOption = DEFAULT_DATA) -> None:
    """Forget them. Notifications stay as they ended."""
    from clarion.entrypoints.cli.dlq import drop as drop_named

    raise typer.Exit(drop_named(data, names))
