"""The words of `clarion journey` about definitions: check, apply, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final

import typer

app: Final = typer.Typer(no_args_is_help=True, help="Journeys: check files, publish them, watch runs.")

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
UrlOption = Annotated[
    str, typer.Option("--url", envvar="CLARION_API_URL", help="Of the API, where there is no data directory.")
]
KeyOption = Annotated[
    str, typer.Option("--key", envvar="CLARION_API_KEY", help="The API key that goes with --url.")
]
Places = Annotated[list[Path], typer.Argument(help="Files of journeys (YAML or JSON), or folders of them.")]
TestPlaces = Annotated[list[Path], typer.Argument(help="Test files of journeys, or folders of them.")]
Folder = Annotated[Path, typer.Argument(help="The folder of the journeys' files.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Errors and warnings, no notes.")]
DEFAULT_DATA: Final = Path(".clarion")


@app.command()
def check(
    places: Places,
    quiet: QuietOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Say what is wrong with journeys, and where; exit 1 for errors. Needs no instance."""
    from clarion.entrypoints.cli.journey_files import read_journeys

    files = read_journeys(places)
    for file in files:
        for line in file.lines(notes=not quiet):
            typer.echo(line)
    broken = sum(file.compiled.graph is None for file in files)
    typer.echo(f"{len(files)} journeys, {broken} with errors", err=True)
    raise typer.Exit(1 if broken or not files else 0)


@app.command()
def apply(
    folder: Folder,
    dry_run: DryRunOption = False,  # noqa: FBT002  typer makes a flag of it
    data: DataOption = DEFAULT_DATA,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Publish a folder's journeys: all are checked first, and only what changed becomes a version."""
    from clarion.entrypoints.cli.journey_apply import apply_files
    from clarion.entrypoints.cli.journey_files import read_journeys
    from clarion.entrypoints.cli.template_desk import Where

    files = read_journeys([folder])
    for file in files:
        for line in file.lines(notes=False):
            typer.echo(line, err=True)
    if not files or any(file.compiled.graph is None for file in files):
        typer.echo("nothing was published" if files else f"there are no journeys in {folder}", err=True)
        raise typer.Exit(1)
    with Where(data, url, key).connect() as api:
        applied = apply_files(api, files, dry_run=dry_run)
    for one in applied:
        typer.echo(one.line(dry_run=dry_run))
    raise typer.Exit(1 if any(one.change == "refused" for one in applied) else 0)


@app.command()
def test(places: TestPlaces) -> None:
    """Rehearse journeys as their test files (`NAME.test.yaml`) say, and check what comes of it. Needs no instance."""
    from clarion.entrypoints.cli.simulate import run_tests

    raise typer.Exit(run_tests(places))


@app.command()
def schema() -> None:
    """Print the JSON Schema of definitions, for editors: `# yaml-language-server: $schema=journey.json`."""
    from clarion.journeys.schema import journey_schema

    typer.echo(json.dumps(journey_schema(), indent=2))
