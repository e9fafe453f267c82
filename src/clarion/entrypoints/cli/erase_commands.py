"""The words of `clarion erase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(
    no_args_is_help=True, help="Erase users, check certificates, and erase again after a restore."
)

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
DEFAULT_DATA: Final = Path(".clarion")


@app.command()
def user(
    user_id: Annotated[str, typer.Argument(help="The tenant's own id of the user.")],
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's name.")] = "default",
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the certificate goes; shown without it.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Erase a user from every store, and write the certificate. Killed, it is gone on with by any worker."""
    from clarion.entrypoints.cli.erase import EraseOptions, erase_user

    raise typer.Exit(erase_user(EraseOptions(data, tenant, user_id, out)))


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A certificate, as JSON.")],
    key: Annotated[
        str, typer.Option("--key", help="The public key, in hexadecimal. Without it: that of the instance.")
    ] = "",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Exit 0 only if a certificate is whole and was signed by this instance, or by the owner of --key."""
    from clarion.entrypoints.cli.erase import verify_certificate

    raise typer.Exit(verify_certificate(file, key, data))


@app.command()
def replay(
    everything: Annotated[  # noqa: FBT002  typer makes a flag of it
        bool, typer.Option("--all", help="Every erasure of the ledger, whatever the database says of it.")
    ] = False,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Erase again what a restored backup brought back. Workers do so when they start; other stores need --all."""
    from clarion.entrypoints.cli.erase import replay_ledger

    raise typer.Exit(replay_ledger(data, everything=everything))
