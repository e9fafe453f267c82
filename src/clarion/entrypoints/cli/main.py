"""`clarion`: every command, each imported only when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from clarion.kernel.errors import ClarionError

app = typer.Typer(
    name="clarion",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A notification platform that loses nothing.",
)

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
DEFAULT_DATA = Path(".clarion")


@app.command()
def up(
    data: DataOption = DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8080,
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Start Clarion on embedded stores: Postgres, Valkey, API and worker, until SIGTERM or Ctrl-C."""
    from clarion.entrypoints.cli.up import UpOptions, run_up

    _exit(run_up(UpOptions(data, port, json)))


@app.command()
def worker(
    roles: Annotated[list[str] | None, typer.Argument(help="Roles to run; all by default.")] = None,
) -> None:
    """Run the worker's roles against the stores of the CLARION_* settings."""
    from clarion.entrypoints.workers.main import main

    _exit(main(roles or []))


@app.command()
def api(port: Annotated[int | None, typer.Option(help="Port of the API.")] = None) -> None:
    """Run the API against the stores of the CLARION_* settings."""
    from clarion.entrypoints.api.serve import main

    _exit(main(port))


ledger_app = typer.Typer(no_args_is_help=True, help="What was promised against what is there.")
app.add_typer(ledger_app, name="ledger")


@ledger_app.command("verify")
def ledger_verify(
    data: DataOption = DEFAULT_DATA,
    wait: Annotated[float, typer.Option(help="Seconds to wait for deliveries under way.")] = 0.0,
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Exit 0 only if every accepted delivery is there, in one state, and none is overdue."""
    from clarion.entrypoints.cli.ledger import VerifyOptions, verify

    _exit(verify(VerifyOptions(data, wait, json)))


def _exit(code: int) -> None:
    raise typer.Exit(code)


def run() -> None:
    """The console script: errors of ours are one line on stderr."""
    try:
        app()
    except ClarionError as error:
        sys.stderr.write(f"clarion: {error.detail}\n")
        sys.exit(1)


if __name__ == "__main__":
    run()
