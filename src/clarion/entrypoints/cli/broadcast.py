"""`clarion broadcast`: ask for broadcasts, watch and steer them, as the default tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="One message to a segment, a list, or everybody, through the API."
)

DEFAULT_DATA = Path(".clarion")
DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
FileArgument = Annotated[
    Path, typer.Argument(help="JSON: {category, template, data, …}, as `POST /api/v1/broadcasts` takes it.")
]
ToOption = Annotated[
    str | None,
    typer.Option(
        "--to", help="`all`, `segment:NAME`, or `@FILE` with a user id a line. Else as the file has it."
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", help="When: 2026-12-01T09:00 by each recipient's clock, or with an offset as one instant."
    ),
]
IdArgument = Annotated[str, typer.Argument(help="The broadcast's id.")]


@app.command()
def send(
    file: FileArgument,
    to: ToOption = None,
    at: AtOption = None,
    watch: Annotated[bool, typer.Option(help="Show its progress until it is over.")] = True,  # noqa: FBT002  typer makes a flag of it
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Send, and show the progress. Ctrl-C ends the show, not the broadcast."""
    from clarion.entrypoints.cli.broadcasting import Asked, run_send

    raise typer.Exit(run_send(data, Asked(file, to, at), is_watched=watch))


@app.command("dry-run")
def dry_run(
    file: FileArgument, to: ToOption = None, at: AtOption = None, data: DataOption = DEFAULT_DATA
) -> None:
    """Tell volume, cost and what each rule would block. Sends nothing."""
    from clarion.entrypoints.cli.broadcasting import Asked, run_dry

    raise typer.Exit(run_dry(data, Asked(file, to, at)))


@app.command("list")
def list_all(data: DataOption = DEFAULT_DATA) -> None:
    """Show the latest broadcasts."""
    from clarion.entrypoints.cli.broadcasting import print_list

    raise typer.Exit(print_list(data))


@app.command()
def show(
    broadcast_id: IdArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Until it is over.")] = False,  # noqa: FBT002  typer makes a flag of it
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Show a broadcast with its books."""
    from clarion.entrypoints.cli.broadcasting import run_show

    raise typer.Exit(run_show(data, broadcast_id, is_watched=watch))


@app.command()
def pause(broadcast_id: IdArgument, data: DataOption = DEFAULT_DATA) -> None:
    """Accept no further members until it is resumed."""
    from clarion.entrypoints.cli.broadcasting import steer

    raise typer.Exit(steer(data, broadcast_id, "pause"))


@app.command()
def resume(broadcast_id: IdArgument, data: DataOption = DEFAULT_DATA) -> None:
    """Go on where it was paused."""
    from clarion.entrypoints.cli.broadcasting import steer

    raise typer.Exit(steer(data, broadcast_id, "resume"))


@app.command()
def cancel(broadcast_id: IdArgument, data: DataOption = DEFAULT_DATA) -> None:
    """Stop for good, and take back what waits."""
    from clarion.entrypoints.cli.broadcasting import steer

    raise typer.Exit(steer(data, broadcast_id, "cancel"))
