"""`clarion journey list`, `show`, `runs`, `pause` and the like: an account's journeys, looked at and steered."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec
import typer

from clarion.entrypoints.cli.client import ApiClient, path_of
from clarion.kernel.errors import Invalid

EXIT: Final = "exit"
"""In `--step OLD=exit`: runs at the step leave."""


class Moving(msgspec.Struct, frozen=True):
    """What `migrate` asks for. `steps`: `OLD=NEW` each. `to_version` 0: the live one."""

    from_version: int
    to_version: int = 0
    steps: tuple[str, ...] = ()
    percent: int = 100
    dry_run: bool = False
    note: str = ""


def list_journeys(api: ApiClient) -> None:
    """Print the account's journeys, a line each."""
    for one in api.call("GET", "/api/v1/journeys")["journeys"]:
        typer.echo(f"{one['status']:8}  version {one['version']:<4}  {one['name']}  {one['journey_id']}")


def show_journey(api: ApiClient, name: str) -> None:
    """Print where a journey's runs are, and what they came to: a table of its steps."""
    journey = api.call("GET", path_of("journeys", name))
    told = api.call("GET", path_of("analytics/journeys", name))
    typer.echo(
        f"{journey['name']}: {journey['status']}, version {journey['version']}, {journey['journey_id']}"
    )
    ends = ", ".join(f"{n} {end}" for end, n in told["ends"].items() if n)
    typer.echo(
        f"{told['entered']} entered since {told['since']}, {told['active']} active{ends and f', {ends}'}"
    )
    typer.echo(f"{'step':24} {'entered':>8} {'waiting':>8} {'done':>8} {'dropped':>8}  {'median':>8}")
    for step in told["steps"]:
        numbers = (step["entered"], step["waiting"], step["done"] + step["skipped"], step["dropped"])
        cells = " ".join(f"{number:>8}" for number in numbers)
        typer.echo(f"{step['step'][:24]:24} {cells}  {_span(step['median_ms']):>8}")
    for goal in told["goals"]:
        typer.echo(f"goal {goal['name']}: {goal['reached']} ({goal['conversion']:.1%})")


def steer(api: ApiClient, name: str, word: str) -> None:
    """Pause, resume, drain or stop a journey, and print what it is then."""
    journey = api.call("POST", f"{path_of('journeys', name)}/{word}")
    runs = sum(one["runs"] for one in journey["running"])
    typer.echo(f"{journey['name']}: {journey['status']}, {runs} active runs")


def list_runs(api: ApiClient, name: str, wanted: dict[str, str]) -> None:
    """Print runs, newest first: of a user, of a status, at a step."""
    query = urlencode({key: value for key, value in wanted.items() if value})
    for run in api.call("GET", f"{path_of('journeys', name)}/instances?{query}")["instances"]:
        place = run["step"] if run["status"] == "active" else run["reason"]
        due = f"until {run['due_at']}" if run["due_at"] else ""
        typer.echo(
            f"{run['instance_id']}  {run['user_id'] or '(gone)'}  {run['status']}  {place}  {due}".rstrip()
        )


def show_run(api: ApiClient, name: str, run: str) -> None:
    """Print one run's timeline in words."""
    told = api.call("GET", f"{path_of('journeys', name)}/instances/{quote(run, safe='')}")
    typer.echo(f"{told['user_id'] or '(gone)'}: {told['status']} {told['reason']}".rstrip())
    for entry in told["timeline"]:
        detail = f" ({entry['detail']})" if entry["detail"] else ""
        typer.echo(f"{entry['at']}  {entry['step']:20}  {entry['means']}{detail}")


def migrate(api: ApiClient, name: str, moving: Moving) -> None:
    """Move runs to another version, or show what would become of them. Raises Invalid on a wrong `--step`."""
    body: dict[str, Any] = {
        "from_version": moving.from_version,
        "to_version": moving.to_version or None,
        "steps": dict(_pair(text) for text in moving.steps),
        "percent": moving.percent,
        "dry_run": moving.dry_run,
        "note": moving.note,
    }
    told = api.call("POST", f"{path_of('journeys', name)}/migrations", body)
    typer.echo(f"version {told['from_version']} to {told['to_version']}, {told['percent']} % of users")
    for kind in ("added", "removed", "changed"):
        if told[kind]:
            typer.echo(f"{kind}: {', '.join(told[kind])}")
    for way in told["ways"]:
        goal = " or else ".join(step or "the first step" for step in way["to"]) or "leaves"
        typer.echo(f"{way['runs']:>8} at {way['step'] or '(not begun)'}: {goal} ({way['how']})")
    typer.echo("nothing was changed" if moving.dry_run else f"migration {told['migration_id']} is under way")


def roll_back(api: ApiClient, name: str, migration: str) -> None:
    """Take a migration back."""
    path = f"{path_of('journeys', name)}/migrations/{quote(migration, safe='')}/rollback"
    typer.echo(f"migration {migration}: {api.call('POST', path)['status']}")


def connect(data: Path, url: str, key: str) -> ApiClient:
    """A client of the account. Raises Invalid where it is not known."""
    from clarion.entrypoints.cli.template_desk import Where

    return Where(data, url, key).connect()


def _pair(text: str) -> tuple[str, str | None]:
    old, sign, new = text.partition("=")
    if not (old and sign and new):
        raise Invalid(f"{text!r} is no OLD=NEW; OLD={EXIT} lets runs leave", "step")
    return old, None if new == EXIT else new


def _span(ms: int | None) -> str:
    if ms is None:
        return "-"
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if ms >= size:
            return f"{ms / size:.1f} {unit}"
    return f"{ms} ms"
