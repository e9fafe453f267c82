"""The words of `clarion journey` about published journeys: list, show, runs, pause and the like, migrate."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from clarion.entrypoints.cli.journey_commands import DEFAULT_DATA, DataOption, KeyOption, UrlOption, app
from clarion.entrypoints.cli.options import taking

Name = Annotated[str, typer.Argument(help="The journey's name or id.")]
RunArgument = Annotated[str, typer.Argument(help="The id of one run: its timeline.")]
StepOption = Annotated[
    list[str] | None,
    typer.Option("--step", help="OLD=NEW: where runs at a step go on; OLD=exit: they leave."),
]


class Named(msgspec.Struct, frozen=True):
    """A journey of an account."""

    name: Name
    data: DataOption = DEFAULT_DATA
    url: UrlOption = ""
    key: KeyOption = ""


class RunWords(msgspec.Struct, frozen=True):
    """What `clarion journey runs` was called with."""

    name: Name
    run: RunArgument = ""
    user: Annotated[str, typer.Option(help="Those of one user.")] = ""
    status: Annotated[str, typer.Option(help="active, completed, exited, failed or stopped.")] = ""
    step: Annotated[str, typer.Option(help="Those at one step.")] = ""
    data: DataOption = DEFAULT_DATA
    url: UrlOption = ""
    key: KeyOption = ""


class MigrateWords(msgspec.Struct, frozen=True):
    """What `clarion journey migrate` was called with."""

    name: Name
    from_version: Annotated[int, typer.Argument(help="The version whose runs are moved.", min=1)]
    to_version: Annotated[
        int, typer.Option("--to", help="The version to move to; the live one without it.")
    ] = 0
    step: StepOption = None
    percent: Annotated[int, typer.Option(help="Of all users, always the same ones.", min=1, max=100)] = 100
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would become of them.")] = False
    note: Annotated[str, typer.Option(help="Why, for the list of migrations.")] = ""
    data: DataOption = DEFAULT_DATA
    url: UrlOption = ""
    key: KeyOption = ""


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, url: UrlOption = "", key: KeyOption = "") -> None:
    """List the account's journeys."""
    from clarion.entrypoints.cli.journey_desk import connect, list_journeys

    with connect(data, url, key) as api:
        list_journeys(api)


@app.command()
@taking(Named)
def show(words: Named) -> None:
    """Show a journey step by step: who came, waits, went on and left."""
    from clarion.entrypoints.cli.journey_desk import connect, show_journey

    with connect(words.data, words.url, words.key) as api:
        show_journey(api, words.name)


@app.command()
@taking(RunWords)
def runs(words: RunWords) -> None:
    """List a journey's runs, newest first; with the id of one, tell its timeline."""
    from clarion.entrypoints.cli.journey_desk import connect, list_runs, show_run

    with connect(words.data, words.url, words.key) as api:
        if words.run:
            show_run(api, words.name, words.run)
        else:
            wanted = {"user_id": words.user, "status": words.status, "step": words.step}
            list_runs(api, words.name, wanted)


@app.command()
@taking(Named)
def pause(words: Named) -> None:
    """Let nothing move until it is resumed; exits are heeded, entries wait."""
    _steer(words, "pause")


@app.command()
@taking(Named)
def resume(words: Named) -> None:
    """Go on after a pause, or take users in again."""
    _steer(words, "resume")


@app.command()
@taking(Named)
def drain(words: Named) -> None:
    """Let nobody enter; runs go on to their end."""
    _steer(words, "drain")


@app.command()
@taking(Named)
def stop(words: Named) -> None:
    """Let nobody enter, and end all runs; messages that have not gone out are taken back."""
    _steer(words, "stop")


@app.command()
@taking(MigrateWords)
def migrate(words: MigrateWords) -> None:
    """Move runs of a version to a newer one; try it with --dry-run first."""
    from clarion.entrypoints.cli.journey_desk import Moving, connect
    from clarion.entrypoints.cli.journey_desk import migrate as move

    moving = Moving(
        words.from_version,
        words.to_version,
        tuple(words.step or ()),
        words.percent,
        words.dry_run,
        words.note,
    )
    with connect(words.data, words.url, words.key) as api:
        move(api, words.name, moving)


@app.command()
def rollback(
    name: Name,
    migration: Annotated[str, typer.Argument(help="The id of the migration.")],
    data: DataOption = DEFAULT_DATA,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Take a migration back: runs that have done nothing since stand where they stood."""
    from clarion.entrypoints.cli.journey_desk import connect, roll_back

    with connect(data, url, key) as api:
        roll_back(api, name, migration)


def _steer(words: Named, word: str) -> None:
    from clarion.entrypoints.cli.journey_desk import connect, steer

    with connect(words.data, words.url, words.key) as api:
        steer(api, words.name, word)
