"""`clarion`: every command, each imported only when it runs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from clarion.entrypoints.cli import (
    audit_commands,
    broadcast,
    dlq_commands,
    erase_commands,
    journey_watch,
    ml_commands,
    provider_commands,
    secrets_commands,
    template_commands,
    transfer,
)
from clarion.entrypoints.cli.options import taking
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
ChallengerOption = Annotated[
    bool, typer.Option("--challenger", help="Grow boosted trees too, and say whether they would be better.")
]
DEFAULT_DATA = Path(".clarion")


RegionOption = Annotated[str | None, typer.Option("--region", help="The region; CLARION_REGION by default.")]


class SimulateWords(msgspec.Struct, frozen=True):
    """What `clarion simulate` was called with."""

    journey: Annotated[Path, typer.Argument(help="The journey's file.")]
    users: Annotated[int | None, typer.Option(min=1, help="How many users to make up; 1000 by default.")] = (
        None
    )
    events: Annotated[
        Path | None,
        typer.Option(help="Their events: NDJSON, CSV, YAML or JSON, each with event, user and at."),
    ] = None
    days: Annotated[float | None, typer.Option(min=0, max=400, help="How long; 30 by default.")] = None
    scenario: Annotated[
        Path | None, typer.Option(help="YAML or JSON: users, events, habits, odds, the account's settings.")
    ] = None
    start: Annotated[str, typer.Option(help="When it begins; now by default.")] = ""
    seed: Annotated[int | None, typer.Option(help="Another one, another course of chance.")] = None
    show: Annotated[list[str] | None, typer.Option(help="Tell all of this user. Repeatable.")] = None
    html: Annotated[Path | None, typer.Option(help="Draw it into this file.")] = None
    json: JsonOption = False


@app.command()
def up(
    data: DataOption = DEFAULT_DATA,
    port: Annotated[int, typer.Option(help="Port of the API; 0: a free one.")] = 8080,
    regions: Annotated[
        str | None, typer.Option(help="The region's name. Several regions are to come.")
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="There is no console yet.")] = False,  # noqa: FBT002  typer makes a flag of it
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Start Clarion on embedded stores: Postgres, Valkey, API and worker, until SIGTERM or Ctrl-C."""
    from clarion.entrypoints.cli.up import UpOptions, run_up

    del no_console
    _exit(run_up(UpOptions(data, port, json, regions)))


@app.command()
def worker(
    roles: Annotated[list[str] | None, typer.Argument(help="Roles to run; all by default.")] = None,
    region: RegionOption = None,
) -> None:
    """Run the worker's roles against the stores of the CLARION_* settings."""
    _run_roles(roles or [], region)


@app.command()
def scheduler(region: RegionOption = None) -> None:
    """Run the scheduler alone: what is due joins the queue."""
    _run_roles(["scheduler"], region)


@app.command()
def events(region: RegionOption = None) -> None:
    """Run the publisher of events alone."""
    _run_roles(["events"], region)


@app.command()
def journeys(region: RegionOption = None) -> None:
    """Run the engine of journeys alone: runs move, and what users do reaches them."""
    _run_roles(["journeys"], region)


@app.command()
def trainer(region: RegionOption = None) -> None:
    """Run the role that fits models, alone."""
    _run_roles(["trainer"], region)


@app.command()
def api(
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None, region: RegionOption = None
) -> None:
    """Run the API against the stores of the CLARION_* settings."""
    from clarion.entrypoints.api.serve import main

    _exit(main(port, region))


def _run_roles(roles: list[str], region: str | None) -> None:
    from clarion.entrypoints.workers.main import main

    _exit(main(roles, region))


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


tenant_app = typer.Typer(no_args_is_help=True, help="Tenants of this instance.")
key_app = typer.Typer(
    no_args_is_help=True, help="API keys: two of a name may live at once, to change one for another."
)
app.add_typer(tenant_app, name="tenant")
app.add_typer(key_app, name="key")
app.add_typer(template_commands.app, name="template")
app.add_typer(dlq_commands.app, name="dlq")
app.add_typer(audit_commands.app, name="audit")
app.add_typer(erase_commands.app, name="erase")
app.add_typer(broadcast.app, name="broadcast")
app.add_typer(journey_watch.app, name="journey")
app.add_typer(ml_commands.app, name="ml")
app.add_typer(provider_commands.app, name="provider")
app.add_typer(secrets_commands.app, name="secrets")
app.add_typer(transfer.import_app, name="import")
app.add_typer(transfer.export_app, name="export")

TenantOption = Annotated[str, typer.Option("--tenant", help="The tenant's name.")]


@tenant_app.command("create")
def tenant_create(
    name: str,
    timezone: Annotated[str, typer.Option(help="For users whose own is unknown.")] = "UTC",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Make a tenant, and print its first API key. It is shown this once."""
    from clarion.entrypoints.cli.tenants import add_tenant

    account = asyncio.run(add_tenant(data, name, timezone))
    typer.echo(f"tenant {account.name} {account.tenant_id}\n{account.api_key}")


@tenant_app.command("quota")
def tenant_quota(
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    per_day: Annotated[
        int | None, typer.Option(min=0, help="Notifications a day of its zone. Without it: any number.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Say how many notifications a tenant may have accepted in a day."""
    from clarion.entrypoints.cli.tenants import set_quota

    asyncio.run(set_quota(data, name, per_day))


@tenant_app.command("list")
def tenant_list(data: DataOption = DEFAULT_DATA) -> None:
    """Show the tenants."""
    from clarion.entrypoints.cli.tenants import print_tenants

    print_tenants(data)


@tenant_app.command("delete")
def tenant_delete(
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    confirm: Annotated[str, typer.Option(help="The name once more: there is no way back.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Delete a tenant with all that it has, and wait until nothing of it is left."""
    from clarion.entrypoints.cli.tenants import DeleteOptions, delete_tenant

    removed = asyncio.run(delete_tenant(DeleteOptions(data, name, confirm, reason)))
    typer.echo(f"tenant {name} is gone: {removed:,} rows were removed; its audit log stays")


@key_app.command("create")
def key_create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: TenantOption = "default",
    scope: Annotated[list[str] | None, typer.Option(help="A scope; all by default. Repeatable.")] = None,
    days: Annotated[int, typer.Option(help="Days until it expires; 0: never.", min=0)] = 0,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Make an API key and print it. It is shown this once."""
    from clarion.entrypoints.cli.tenants import KeyOptions, add_key

    options = KeyOptions(tenant, name, "live", scope or ["*"], days)
    typer.echo(asyncio.run(add_key(data, options)))


@key_app.command("list")
def key_list(tenant: TenantOption = "default", data: DataOption = DEFAULT_DATA) -> None:
    """Show a tenant's keys: not their texts, which nobody knows."""
    from clarion.entrypoints.cli.tenants import print_keys

    print_keys(data, tenant)


@key_app.command("revoke")
def key_revoke(key_id: str, tenant: TenantOption = "default", data: DataOption = DEFAULT_DATA) -> None:
    """End a key now."""
    from clarion.entrypoints.cli.tenants import revoke_key

    asyncio.run(revoke_key(data, tenant, key_id))
    typer.echo(f"{key_id} is revoked; running processes forget it within 2 seconds")


@app.command()
def send(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    category: Annotated[str, typer.Option(help="The category.")] = "transactional",
    template: Annotated[str | None, typer.Option(help="A template; else subject, title and body.")] = None,
    value: Annotated[
        list[str] | None, typer.Option("--data-value", "-d", help="NAME=VALUE for the template's data.")
    ] = None,
    data: DataOption = DEFAULT_DATA,
) -> None:
    """Send one notification through the API, and print the answer."""
    from clarion.entrypoints.cli.send import SendOptions, run_send

    _exit(run_send(SendOptions(data, user, category, template, value or [])))


@app.command()
def migrate(data: DataOption = DEFAULT_DATA) -> None:
    """Bring the stores' schema up to date. `clarion up` does so itself; run it before a rolling deploy."""
    from clarion.entrypoints.cli.doctor import run_migrate

    _exit(run_migrate(data))


@app.command()
@taking(SimulateWords)
def simulate(words: SimulateWords) -> None:
    """Rehearse a journey with users and events as told, or made up: who would get what, when, and why.

    The same engine and the same rules on a clock of its own: a month takes seconds. Nothing is sent, and no instance
    is needed.
    """
    from clarion.entrypoints.cli.simulate import SimulateOptions, run_simulate

    options = SimulateOptions(
        words.journey,
        words.scenario,
        words.events,
        words.users,
        words.days,
        words.seed,
        words.start,
        words.show or [],
        words.json,
        words.html,
    )
    _exit(run_simulate(options))


SendingOption = Annotated[
    bool, typer.Option("--allow-sending", help="Offer the tools that send, each behind a plan.")
]


@app.command()
def mcp(
    data: DataOption = DEFAULT_DATA,
    allow_sending: SendingOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Serve the Model Context Protocol on stdin and stdout, for an assistant that starts this command."""
    from clarion.entrypoints.mcp.server import McpOptions, run_mcp

    _exit(run_mcp(McpOptions(data, allow_sending)))


class TrainWords(msgspec.Struct, frozen=True):
    """What `clarion train` was called with."""

    data: DataOption = DEFAULT_DATA
    tenant: Annotated[str, typer.Option(help="Name of a tenant; all of them by default.")] = ""
    cards: Annotated[Path | None, typer.Option(help="Write a card of each model into this folder.")] = None
    challenger: ChallengerOption = False
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait where another process trains the same tenant.")
    ] = False
    json: JsonOption = False


@app.command()
@taking(TrainWords)
def train(words: TrainWords) -> None:
    """Fit the models of send times and channels now; the trainer role does it every day."""
    from clarion.entrypoints.cli.train import TrainOptions, run_train

    where = (words.data, words.tenant, words.cards)
    _exit(run_train(TrainOptions(*where, words.challenger, words.wait, words.json)))


@app.command()
def doctor(data: DataOption = DEFAULT_DATA) -> None:
    """Look at the machine, the stores and the work, and say what is wrong and how to mend it."""
    from clarion.entrypoints.cli.doctor import run_doctor

    _exit(run_doctor(data))


@app.command()
def demo(
    data: DataOption = DEFAULT_DATA,
    users: Annotated[int, typer.Option(help="How many users get a message.", min=1, max=100_000)] = 1000,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the deliveries to end.")] = 180.0,
    json: JsonOption = False,  # noqa: FBT002  typer makes a flag of it
) -> None:
    """Send a thousand personalised e-mails through a real SMTP server, and count them at both ends."""
    from clarion.entrypoints.cli.demo import DemoOptions, run_demo

    _exit(run_demo(DemoOptions(data, users, timeout, json)))


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
