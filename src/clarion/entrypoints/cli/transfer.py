"""`clarion import` and `clarion export`: a tenant's users in and out by the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clarion.entrypoints.cli.options import taking
from clarion.kernel.errors import Invalid

import_app = typer.Typer(no_args_is_help=True, help="Take in what a file holds.")
export_app = typer.Typer(no_args_is_help=True, help="Write out what is stored.")

DEFAULT_DATA = Path(".clarion")
DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant's name.")]


class ImportWords(msgspec.Struct, frozen=True):
    """What `clarion import users` was called with."""

    file: Annotated[Path, typer.Argument(help="CSV with a header, or NDJSON; plain or gzip.")]
    data: DataOption = DEFAULT_DATA
    tenant: TenantOption = "default"
    map: Annotated[
        list[str] | None,
        typer.Option(help="COLUMN=FIELD: a column by another name, `E-Mail=email`. Repeatable."),
    ] = None
    text: Annotated[
        list[str] | None,
        typer.Option(help="An attribute that stays text, whatever it reads like. Repeatable."),
    ] = None
    format: Annotated[str, typer.Option(help="csv or ndjson; found out without it.")] = ""
    encoding: Annotated[str, typer.Option(help="Of the file; UTF-8 without it.")] = ""
    delimiter: Annotated[str, typer.Option(help="Of CSV; found out without it.")] = ""
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected records go; FILE.rejects.ndjson without it.")
    ] = None
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, wherever an earlier run was.")] = (
        False
    )
    processes: Annotated[
        int, typer.Option(min=0, max=64, help="Processes that write; 0: as many as the file is worth.")
    ] = 0
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False


@import_app.command("users")
@taking(ImportWords)
def import_users(words: ImportWords) -> None:
    """Create or replace the users of a file. Killed, the same command goes on where it was.

    A CSV's columns are fields of the profile by their names (user_id, email, phone, timezone, …); all others become
    attributes. Records that cannot be imported go into a file of rejects, each with its line and the reason.
    """
    from clarion.entrypoints.cli.import_users import ImportOptions, run_import
    from clarion.entrypoints.cli.user_file import FileShape

    if words.format not in {"", "csv", "ndjson"}:
        raise Invalid(f"there is no format {words.format!r}; there are: csv, ndjson", "format")
    delimiter = {"tab": "\t", r"\t": "\t"}.get(words.delimiter, words.delimiter)
    if len(delimiter) > 1:
        raise Invalid("a delimiter is one character, or `tab`", "delimiter")
    shape = FileShape(
        words.format, words.encoding, delimiter, _renamed(words.map or []), tuple(words.text or ())
    )
    options = ImportOptions(
        words.data,
        words.file,
        words.tenant,
        shape,
        words.rejects,
        words.restart,
        words.processes,
        words.json,
    )
    raise typer.Exit(run_import(options))


@export_app.command("users")
def export_users(
    output: Annotated[Path | None, typer.Argument(help="Where to; stdout without it.")] = None,
    format: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "",  # noqa: A002  typer names it so
    tenant: TenantOption = "default",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write all users, as `clarion import users` takes them."""
    from clarion.entrypoints.cli.export_users import ExportOptions, run_export

    raise typer.Exit(run_export(ExportOptions(data, tenant, format, output)))


@export_app.command("user")
def export_one_user(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    output: Annotated[Path | None, typer.Argument(help="Where to; USER.zip without it.")] = None,
    tenant: TenantOption = "default",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Write everything that is held about one user, from every store: a zip of JSON and CSV."""
    from clarion.entrypoints.cli.export_user import ExportUserOptions, export_user

    raise typer.Exit(export_user(ExportUserOptions(data, tenant, user, output)))


def _renamed(pairs: list[str]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for pair in pairs:
        column, equals, field = pair.rpartition("=")
        if not equals or not column or not field:
            raise Invalid(f"{pair!r} is not COLUMN=FIELD", "map")
        renamed[column] = field
    return renamed
