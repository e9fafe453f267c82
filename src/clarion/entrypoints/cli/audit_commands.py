"""The words of `clarion audit`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(
    no_args_is_help=True, help="Who administered what, and whether anybody changed the record."
)

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
DEFAULT_DATA: Final = Path(".clarion")


class Format(StrEnum):
    """How a log is written."""

    NDJSON = "ndjson"
    CSV = "csv"


@app.command()
def verify(
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="The tenant's name; all by default, and those that are gone."),
    ] = None,
    proof: Annotated[
        Path | None,
        typer.Option("--proof", help="A proof of consent to check, instead of the chains."),
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            "--key", help="The public key to check a proof with, as it shows it; else this instance's."
        ),
    ] = "",
    data: DataOption = DEFAULT_DATA,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Exit 0 only if every chain is as it was written; else name the first entry that is not.

    Note the last number and hash of a chain elsewhere: only against them it shows that its newest entries are gone.
    """
    from clarion.entrypoints.cli.audit import VerifyOptions, run_verify

    if proof is not None:
        from clarion.entrypoints.cli.consent_proof import verify_proof

        raise typer.Exit(verify_proof(proof, key, data))
    raise typer.Exit(run_verify(VerifyOptions(data, tenant, json)))


@app.command()
def export(
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's name.")] = "default",
    format: Annotated[Format, typer.Option("--format", help="A line or a row an act.")] = Format.NDJSON,  # noqa: A002  the option's name
    out: Annotated[Path | None, typer.Option("--out", help="Where it goes; shown without it.")] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write out a tenant's audit log, newest first."""
    from clarion.entrypoints.cli.audit import ExportOptions, run_export

    raise typer.Exit(run_export(ExportOptions(data, tenant, format.value, out)))
