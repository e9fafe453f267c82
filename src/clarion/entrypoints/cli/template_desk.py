"""What `clarion template` prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from clarion.entrypoints.cli.client import Account, ApiClient, account_of, path_of
from clarion.entrypoints.cli.template_sync import run_sync
from clarion.kernel.errors import Invalid

PIPE_WIDTH = 240


class Where(msgspec.Struct, frozen=True):
    """Which account: the default tenant's of an instance, or that of a URL and key."""

    data: Path
    url: str = ""
    key: str = ""

    def connect(self) -> ApiClient:
        """A client of the account. Raises Invalid where it is not known."""
        if not self.url:
            return ApiClient(account_of(self.data))
        if not self.key:
            raise Invalid("--url needs --key, or CLARION_API_KEY", "key")
        return ApiClient(Account(self.url.rstrip("/"), self.key))


class Looking(msgspec.Struct, frozen=True):
    """What to render or send: `version` a number, `live`, or "" for the latest. `values` are `NAME=VALUE`."""

    name: str
    user: str = ""
    values: Sequence[str] = ()
    file: Path | None = None
    version: str = ""
    channel: str = ""
    locale: str = ""


def sync(where: Where, root: Path, word: Literal["push", "draft", "pull", "diff"]) -> tuple[int, bool]:
    """Push, pull or compare, and say so; the number of changes, and whether all went well."""
    with where.connect() as api:
        report = run_sync(api, root, word)
    for line in [*report.lines, *report.findings]:
        typer.echo(line)
    for problem in report.problems:
        typer.echo(problem, err=True)
    return report.changes, not report.problems


def show_list(where: Where) -> None:
    """A table of the templates."""
    with where.connect() as api:
        templates = api.call("GET", "/api/v1/templates")["templates"]
    table = Table("template", "latest", "live", "category", "channels", "schema")
    for one in templates:
        live = "" if one["live"] is None else str(one["live"])
        schema = "yes" if one["data_schema"] else ""
        table.add_row(
            one["name"], str(one["version"]), live, one["category"], " ".join(one["channels"]), schema
        )
    _print(table if templates else "no templates")


def show_versions(where: Where, name: str) -> None:
    """A table of a template's versions, and who made which one live."""
    with where.connect() as api:
        shown = api.call("GET", f"{path_of('templates', name)}/versions?limit=100")
    table = Table("version", "live", "saved", "by")
    for one in shown["versions"]:
        table.add_row(
            str(one["version"]), "live" if one["live"] else "", one["created_at"], one["created_by"]
        )
    _print(table)
    changes = Table("went live", "in place of", "at", "by")
    for one in shown["promotions"]:
        previous = "" if one["previous"] is None else str(one["previous"])
        changes.add_row(str(one["version"]), previous, one["promoted_at"], one["promoted_by"])
    _print(changes)


def promote(where: Where, name: str, version: int) -> None:
    """Make a version the live one."""
    with where.connect() as api:
        answer = api.call("POST", f"{path_of('templates', name)}/promote", {"version": version})
    previous = f" in place of version {answer['previous']}" if answer["previous"] else ""
    typer.echo(f"{name}: version {answer['version']} is live{previous}")


def preview(where: Where, looking: Looking) -> int:
    """Render, and print the answer; the exit code: 1 where a channel cannot be rendered, or `data` does not fit."""
    body = {**_asked(looking), "locale": looking.locale, "channel": looking.channel or None}
    with where.connect() as api:
        answer = api.call("POST", f"{path_of('templates', looking.name)}/preview", body)
    Console().print_json(data=answer)
    broken = answer["data_fault"] or any("error" in part for part in answer["channels"].values())
    return 1 if broken else 0


def send_test(where: Where, looking: Looking) -> None:
    """Send a version to one user, and print the answer."""
    body = {**_asked(looking), "channels": [looking.channel] if looking.channel else []}
    with where.connect() as api:
        Console().print_json(data=api.call("POST", f"{path_of('templates', looking.name)}/test", body))


def _asked(looking: Looking) -> dict[str, Any]:
    body: dict[str, Any] = {"data": _data(looking)}
    if looking.user:
        body["user_id"] = looking.user
    if looking.version:
        number = looking.version.isascii() and looking.version.isdigit()
        body["version"] = int(looking.version) if number else looking.version
    return body


def _data(looking: Looking) -> dict[str, Any]:
    """What the file says, and over it the values, each JSON or else text."""
    data: dict[str, Any] = {}
    if looking.file is not None:
        try:
            raw = sys.stdin.buffer.read() if str(looking.file) == "-" else looking.file.read_bytes()
            data = msgspec.json.decode(raw, type=dict[str, Any])
        except OSError as error:
            raise Invalid(f"{looking.file}: {error.strerror}", "file") from error
        except msgspec.DecodeError as error:
            raise Invalid(f"{looking.file}: it is no JSON object: {error}", "file") from error
    for pair in looking.values:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Invalid(f"{pair!r} is not NAME=VALUE", "data")
        data[name] = _value(text)
    return data


def _value(text: str) -> Any:  # noqa: ANN401  any JSON
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _print(what: Table | str) -> None:
    """At full width where no screen limits it, for programs that read it."""
    console = Console()
    (console if console.is_terminal else Console(width=PIPE_WIDTH)).print(what)
