"""The words of `clarion secrets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(no_args_is_help=True, help="The keys that seal users' data and tenants' secrets.")

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
DEFAULT_DATA: Final = Path(".clarion")


@app.command()
def rotate(
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Give this tenant a new key, and seal its secrets with it.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Wrap all keys with the present master key, while CLARION_MASTER_KEY_PREVIOUS still opens the old ones.

    Killed, it is gone on with by starting it again.
    """
    from clarion.entrypoints.cli.secrets import RotateOptions, run_rotate

    raise typer.Exit(run_rotate(RotateOptions(data, tenant, reason)))


@app.command()
def status(data: DataOption = DEFAULT_DATA) -> None:
    """Exit 0 only if the present master key opens everything by itself."""
    from clarion.entrypoints.cli.secrets import run_status

    raise typer.Exit(run_status(data))
