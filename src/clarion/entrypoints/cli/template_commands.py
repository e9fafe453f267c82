"""The words of `clarion template`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from clarion.entrypoints.cli.options import taking

app: Final = typer.Typer(no_args_is_help=True, help="Templates, through the API: one by one, or as a folder.")

DataOption = Annotated[Path, typer.Option("--data", help="Data directory of the instance.")]
UrlOption = Annotated[
    str, typer.Option("--url", envvar="CLARION_API_URL", help="Of the API, where there is no data directory.")
]
KeyOption = Annotated[
    str, typer.Option("--key", envvar="CLARION_API_KEY", help="The API key that goes with --url.")
]
Folder = Annotated[Path, typer.Argument(help="The folder, with `templates` and `partials` in it.")]
NameArgument = Annotated[str, typer.Argument(help="The template's name.")]
ValueOption = Annotated[
    list[str] | None,
    typer.Option("--data-value", "-d", help="NAME=VALUE for the template's data; JSON, or else text."),
]
FileOption = Annotated[Path | None, typer.Option("--data-file", help="JSON with the data; - for stdin.")]
VersionOption = Annotated[str, typer.Option(help="A number, or `live`; the latest without it.")]
CheckOption = Annotated[bool, typer.Option("--check", help="Exit 1 where a push would change anything.")]
DraftOption = Annotated[bool, typer.Option("--draft", help="Save as drafts: nothing goes live.")]
ChannelOption = Annotated[str, typer.Option(help="email, push or sms; all without it.")]
DEFAULT_DATA: Final = Path(".clarion")


class PreviewWords(msgspec.Struct, frozen=True):
    """What `clarion template preview` was called with."""

    name: NameArgument
    user: Annotated[str, typer.Option(help="A user's id: rendered with her profile and context.")] = ""
    data_value: ValueOption = None
    data_file: FileOption = None
    version: VersionOption = ""
    channel: ChannelOption = ""
    locale: Annotated[str, typer.Option(help="As a user of this language gets it.")] = ""
    data: DataOption = DEFAULT_DATA
    url: UrlOption = ""
    key: KeyOption = ""


class TestWords(msgspec.Struct, frozen=True):
    """What `clarion template test` was called with."""

    name: NameArgument
    user: Annotated[str, typer.Argument(help="The id of the user who gets it.")]
    data_value: ValueOption = None
    data_file: FileOption = None
    version: VersionOption = ""
    channel: ChannelOption = ""
    data: DataOption = DEFAULT_DATA
    url: UrlOption = ""
    key: KeyOption = ""


@app.command()
def push(
    folder: Folder,
    draft: DraftOption = False,  # noqa: FBT002  typer makes a flag of it
    data: DataOption = DEFAULT_DATA,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Save a folder's templates and partials. All are checked first; what is saved already stays as it is."""
    from clarion.entrypoints.cli.template_desk import Where, sync

    _, well = sync(Where(data, url, key), folder, "draft" if draft else "push")
    raise typer.Exit(0 if well else 1)


@app.command()
def pull(folder: Folder, data: DataOption = DEFAULT_DATA, url: UrlOption = "", key: KeyOption = "") -> None:
    """Write the account's templates and partials into a folder, over what it has of them."""
    from clarion.entrypoints.cli.template_desk import Where, sync

    folder.mkdir(parents=True, exist_ok=True)
    sync(Where(data, url, key), folder, "pull")


@app.command()
def diff(
    folder: Folder,
    check: CheckOption = False,  # noqa: FBT002  typer makes a flag of it
    data: DataOption = DEFAULT_DATA,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Show what a push would change."""
    from clarion.entrypoints.cli.template_desk import Where, sync

    changes, _ = sync(Where(data, url, key), folder, "diff")
    raise typer.Exit(1 if check and changes else 0)


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, url: UrlOption = "", key: KeyOption = "") -> None:
    """Show the templates, and which versions are live."""
    from clarion.entrypoints.cli.template_desk import Where, show_list

    show_list(Where(data, url, key))


@app.command()
def versions(
    name: NameArgument, data: DataOption = DEFAULT_DATA, url: UrlOption = "", key: KeyOption = ""
) -> None:
    """Show a template's versions, and who made which one live."""
    from clarion.entrypoints.cli.template_desk import Where, show_versions

    show_versions(Where(data, url, key), name)


@app.command()
def promote(
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The number of a draft, or of an older version.", min=1)],
    data: DataOption = DEFAULT_DATA,
    url: UrlOption = "",
    key: KeyOption = "",
) -> None:
    """Make a version the live one: what is accepted from now on is sent as it has it."""
    from clarion.entrypoints.cli.template_desk import Where
    from clarion.entrypoints.cli.template_desk import promote as promote_version

    promote_version(Where(data, url, key), name, version)


@app.command()
@taking(PreviewWords)
def preview(words: PreviewWords) -> None:
    """Render a template without sending it, and print what it says as JSON.

    Exit 1 where a channel cannot be rendered, or the data is not what the template asks for.
    """
    from clarion.entrypoints.cli.template_desk import Looking, Where
    from clarion.entrypoints.cli.template_desk import preview as render

    looking = Looking(
        words.name,
        words.user,
        words.data_value or [],
        words.data_file,
        words.version,
        words.channel,
        words.locale,
    )
    raise typer.Exit(render(Where(words.data, words.url, words.key), looking))


@app.command()
@taking(TestWords)
def test(words: TestWords) -> None:
    """Send a version, live or not, to one user by the way that every notification goes."""
    from clarion.entrypoints.cli.template_desk import Looking, Where, send_test

    looking = Looking(
        words.name, words.user, words.data_value or [], words.data_file, words.version, words.channel
    )
    send_test(Where(words.data, words.url, words.key), looking)


@app.command()
def put(
    name: NameArgument,
    file: Annotated[
        Path, typer.Argument(help="JSON: {category, channels: {email: {subject, html, text}, …}}.")
    ],
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Save a file as the template's next version."""
    from clarion.entrypoints.cli.send import put_template

    raise typer.Exit(put_template(data, name, file))


@app.command()
def show(name: NameArgument, data: DataOption = DEFAULT_DATA) -> None:
    """Print a template's latest version."""
    from clarion.entrypoints.cli.send import show_template

    raise typer.Exit(show_template(data, name))
