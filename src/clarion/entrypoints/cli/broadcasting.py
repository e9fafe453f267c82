"""What `clarion broadcast` does: bodies from files, calls, and what they came to, on the terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from clarion.entrypoints.cli.client import ApiClient, account_of, path_of
from clarion.kernel.errors import Invalid

RESOURCE: Final = "/api/v1/broadcasts"
OVER: Final = frozenset({"completed", "cancelled", "failed"})
SIDES: Final = ("sent", "blocked", "failed", "unknown", "pending")
POLL_LEAST_S: Final = 0.25
POLL_SHARE: Final = 5
"""A look is made at most every this many times what the last one took: a large audience is not asked for too often."""


class Asked(msgspec.Struct, frozen=True):
    """What a command line asks for: a body in a file, and what stands before it on the line."""

    file: Path
    to: str | None
    at: str | None


def body_of(asked: Asked) -> dict[str, Any]:
    """The body of the request. Raises Invalid on a file that cannot be read, is no JSON object, or lists nobody."""
    try:
        body = msgspec.json.decode(asked.file.read_bytes())
    except OSError as error:
        raise Invalid(f"{asked.file}: {error.strerror}", "file") from error
    except msgspec.DecodeError as error:
        raise Invalid(f"{asked.file} is no JSON: {error}", "file") from error
    if not isinstance(body, dict):
        raise Invalid(f"{asked.file} holds no JSON object", "file")
    found = cast("dict[str, Any]", body)
    if asked.to is not None:
        for name in ("audience", "segment", "user_ids"):
            found.pop(name, None)
        found |= _audience(asked.to)
    if asked.at is not None:
        found["send_at"] = asked.at
    return found


def _audience(to: str) -> dict[str, Any]:
    if to == "all":
        return {"audience": "all"}
    if to.startswith("segment:"):
        return {"segment": to.removeprefix("segment:")}
    if to.startswith("@"):
        path = Path(to[1:])
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"{path} cannot be read: {error}", "to") from error
        return {"user_ids": [line.strip() for line in lines if line.strip()]}
    raise Invalid(f"{to!r} is none of `all`, `segment:NAME` and `@FILE`", "to")


def run_send(data: Path, asked: Asked, *, is_watched: bool) -> int:
    """Ask for a broadcast, and watch it; 1 where it failed."""
    with ApiClient(account_of(data)) as api:
        ident = str(api.call("POST", RESOURCE, body_of(asked))["broadcast_id"])
        Console(stderr=True).print(f"broadcast {ident}", highlight=False)
        view = _watch(api, ident) if is_watched else _read(api, ident)
    return _print(view)


def run_dry(data: Path, asked: Asked) -> int:
    """Rehearse a broadcast to its end, and tell what it would come to; 1 where it failed."""
    with ApiClient(account_of(data)) as api:
        answer = api.call("POST", RESOURCE, {**body_of(asked), "dry_run": True})
        view = _watch(api, str(answer["broadcast_id"]))
    return _print(view)


def run_show(data: Path, broadcast_id: str, *, is_watched: bool) -> int:
    """Print a broadcast; 1 where it failed."""
    with ApiClient(account_of(data)) as api:
        view = _watch(api, broadcast_id) if is_watched else _read(api, broadcast_id)
    return _print(view)


def steer(data: Path, broadcast_id: str, act: str) -> int:
    """Pause, resume or cancel a broadcast, and print it; 1 where it failed."""
    with ApiClient(account_of(data)) as api:
        return _print(api.call("POST", f"{path_of('broadcasts', broadcast_id)}/{act}"))


def print_list(data: Path) -> int:
    """Print the latest broadcasts."""
    table = Table(title="Broadcasts", title_justify="left")
    for column in ("id", "name", "to", "status"):
        table.add_column(column, no_wrap=column == "id")
    table.add_column("audience", justify="right")
    table.add_column("asked for")
    with ApiClient(account_of(data)) as api:
        for line in api.call("GET", RESOURCE)["broadcasts"]:
            kind = f"{line['status']}, dry run" if line["dry_run"] else line["status"]
            audience = f"{line['audience']:,}"
            table.add_row(line["broadcast_id"], line["name"], line["to"], kind, audience, line["created_at"])
    Console().print(table)
    return 0


def _read(api: ApiClient, broadcast_id: str) -> dict[str, Any]:
    return cast("dict[str, Any]", api.call("GET", path_of("broadcasts", broadcast_id)))


def _watch(api: ApiClient, broadcast_id: str) -> dict[str, Any]:
    """Show the progress until it is over (or Ctrl-C); the broadcast as it is then."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("collecting", total=None)
        while True:
            began = time.monotonic()
            view = _read(api, broadcast_id)
            done, words = _progress(view)
            progress.update(task, description=words, completed=done, total=view["audience"] or None)
            if view["status"] in OVER:
                return view
            try:
                time.sleep(max(POLL_LEAST_S, POLL_SHARE * (time.monotonic() - began)))
            except KeyboardInterrupt:
                return view


def _progress(view: dict[str, Any]) -> tuple[int, str]:
    """How many members are done with, and where they are, in a line."""
    forecast, books = view["forecast"], view["balance"]
    if forecast is not None:
        return forecast["examined"], f"{view['status']}: {forecast['would_send']:,} would be sent"
    told = ", ".join(f"{books[side]:,} {side}" for side in SIDES if books[side])
    return books["audience"] - books["pending"], f"{view['status']}: {told}" if told else view["status"]


def _print(view: dict[str, Any]) -> int:
    console = Console()
    title = f"{view['name'] or view['broadcast_id']}: {view['status']}"
    console.print(title, highlight=False)
    if view["failure"]:
        console.print(f"[red]✗[/red] {view['failure']}", highlight=False)
    if view["forecast"] is not None:
        _print_forecast(console, view["forecast"])
    else:
        _print_books(console, view["balance"])
    return 1 if view["status"] == "failed" else 0


def _print_books(console: Console, books: dict[str, Any]) -> None:
    sides = " + ".join(f"{books[side]:,} {side}" for side in SIDES)
    console.print(f"audience {books['audience']:,} = {sides}", highlight=False, soft_wrap=True)
    for title in ("detail", "refused", "blocked_by"):
        if books[title]:
            _print_counts(console, title.replace("_", " "), books[title])


def _print_forecast(console: Console, forecast: dict[str, Any]) -> None:
    console.print(
        f"of {forecast['audience']:,} members {forecast['would_send']:,} would be sent something "
        f"({forecast['later']:,} later), {forecast['would_block']:,} blocked, {forecast['would_refuse']:,} refused; "
        f"cost {forecast['cost']:.2f}",
        highlight=False,
        soft_wrap=True,
    )
    messages = {
        f"{channel} (cost {entry['cost']:.2f})": entry["messages"]
        for channel, entry in forecast["channels"].items()
    }
    for title, counts in (
        ("messages", messages),
        ("blocked by", forecast["blocked_by"]),
        ("refused", forecast["refused"]),
    ):
        if counts:
            _print_counts(console, title, counts)


def _print_counts(console: Console, title: str, counts: dict[str, int]) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, count in sorted(counts.items(), key=lambda entry: -entry[1]):
        table.add_row(name, f"{count:,}")
    console.print(table)
