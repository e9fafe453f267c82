"""The words of `clarion provider`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from clarion.audience.model import Platform
from clarion.entrypoints.cli.options import taking

app: Final = typer.Typer(
    no_args_is_help=True, help="Accounts with vendors: what they are, whether they work."
)

DEFAULT_DATA: Final = Path(".clarion")
DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


class TestWords(msgspec.Struct, frozen=True):
    """What `clarion provider test` was called with."""

    name: Annotated[str, typer.Argument(help="The account's name.")]
    to: Annotated[str, typer.Option(help="An e-mail address, a number (+…), or a device's token.")]
    platform: Annotated[Platform, typer.Option(help="Of a device: ios, android or web.")] = "android"
    tenant: Annotated[str, typer.Option("--tenant", help="The tenant's name.")] = "default"
    wait: Annotated[float, typer.Option(help="Seconds to wait for a receipt.", min=0, max=600)] = 0.0
    data: DataOption = DEFAULT_DATA
    json: JsonOption = False


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, json: JsonOption = False) -> None:  # noqa: FBT002  typer makes a flag of it
    """Show the accounts of the default tenant, and how they do."""
    from clarion.entrypoints.cli.providers import list_accounts

    list_accounts(data, json=json)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The account's name.")], data: DataOption = DEFAULT_DATA
) -> None:
    """Print an account of the default tenant and its health, as JSON. Credentials are never shown."""
    from clarion.entrypoints.cli.providers import show_account

    show_account(data, name)


@app.command()
@taking(TestWords)
def test(words: TestWords) -> None:
    """Send one real message through an account, and tell each step: settings, way, credentials, verdict, receipt.

    It goes to whom you say, whatever she has agreed to, and costs what a message costs. Exit 0 if the vendor took it,
    and, with --wait, reported what became of it.
    """
    from clarion.entrypoints.cli.providers import run_test

    raise typer.Exit(run_test(words))


@app.command()
def bounce(
    url: Annotated[str, typer.Option(help="The public address with the account's receipts.url.")],
    secret_file: Annotated[
        Path, typer.Option("--secret-file", help="A file with the account's receipts.signing_secret.")
    ],
) -> None:
    """Hand in a mail that came back, from standard input: for a mail server's pipe.

    Exit 75 where it should be kept and tried again.
    """
    import sys

    from clarion.entrypoints.cli.bounces import hand_in

    raise typer.Exit(hand_in(url, secret_file, sys.stdin.buffer.read()))
