"""`clarion up`: stores, migrations, the first tenant, and the processes that serve it; until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import msgspec
import structlog

from clarion.adapters.embedded import (
    ChildEvent,
    Claim,
    Credentials,
    DataDirectory,
    Ports,
    PostgresOptions,
    Role,
    StoreOptions,
    Supervisor,
    ValkeyOptions,
    http_probe,
    role_child,
    start_stores,
    supervise,
)
from clarion.adapters.telemetry.logs import configure_logs
from clarion.entrypoints.cli.instance import FirstTenant, prepare_instance, role_overrides
from clarion.kernel.errors import Invalid
from clarion.settings import Settings, load_settings

API_MODULE: Final = "clarion.entrypoints.api.serve"
WORKER_MODULE: Final = "clarion.entrypoints.workers.main"
API_ORDER: Final = 10
WORKER_ORDER: Final = 20
API_STOP_S: Final = 4.0
WORKER_STOP_S: Final = 12.0
"""With the stores' 12 s these are all of the supervisor's 28: each part gets what is written here."""


LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
LOOPBACK: Final = "127.0.0.0/8,::1/128"

_log = structlog.get_logger("supervisor")


class UpOptions(msgspec.Struct, frozen=True):
    """The command's options. `regions`: the name of the region, None as the settings say."""

    data: Path
    port: int
    json: bool
    regions: str | None = None


class Ready(msgspec.Struct, frozen=True):
    """The one line on stdout with `--json`: its fields are a contract."""

    event: str
    regions: dict[str, str]
    tenant_id: str
    api_key: str
    console: str | None
    data: str


def run_up(options: UpOptions) -> int:
    """Run until SIGTERM or SIGINT; the exit code. Raises ClarionError with one line where it cannot start."""
    if options.regions and "," in options.regions:
        raise Invalid("one region at a time for now: give --regions a single name", "regions")
    settings = load_settings(port=options.port, region=options.regions)
    configure_logs("supervisor", settings.log_level, pretty=sys.stderr.isatty())
    asyncio.run(_run(options, settings))
    return 0


async def _run(options: UpOptions, settings: Settings) -> None:
    directory = DataDirectory.open(options.data)
    async with Claim(directory) as claim:
        supervisor = Supervisor(claim, on_event=_log_event)

        async def start(supervisor: Supervisor) -> None:
            await _start(supervisor, directory, settings, options)

        await supervise(supervisor, start)


async def _start(
    supervisor: Supervisor, directory: DataDirectory, settings: Settings, options: UpOptions
) -> None:
    stores = StoreOptions(
        postgres=None if settings.postgres_url else PostgresOptions(),
        valkey=None if settings.redis_url else ValkeyOptions(),
    )
    urls = await start_stores(supervisor, stores)
    credentials = Credentials(directory)
    overrides = role_overrides(settings, urls, credentials) | {"region": settings.region}
    environment = role_environment(overrides | {"egress_allow": egress_of(settings)})
    tenant = await prepare_instance(load_settings(**overrides), credentials)
    port = settings.port or Ports(directory).choose("api")
    url = f"http://{settings.host}:{port}"
    if settings.public_url is None:
        environment["CLARION_PUBLIC_URL"] = url
    api = Role(
        "api",
        API_MODULE,
        ("--port", str(port)),
        environment,
        order=API_ORDER,
        stop_seconds=API_STOP_S,
        port=port,
        ready=http_probe(port),
        log=directory.log("api"),
    )
    worker = Role(
        "worker",
        WORKER_MODULE,
        (),
        environment,
        order=WORKER_ORDER,
        stop_seconds=WORKER_STOP_S,
        log=directory.log("worker"),
    )
    await supervisor.start(role_child(api), role_child(worker))
    credentials.keep(api_url=url)
    _announce(settings, tenant, url, options)


def egress_of(settings: Settings) -> str | None:
    """Which networks tenants' accounts may lead to; None: as the settings say.

    Where only this machine can ask, whoever asks may reach it anyway: a mail server beside Clarion needs no setting.
    A public URL says that others ask, through a proxy.
    """
    is_private = settings.host in LOOPBACK_HOSTS and settings.public_url is None
    return LOOPBACK if is_private and not settings.egress_allow else None


def role_environment(overrides: dict[str, str | None]) -> dict[str, str]:
    """The environment of a role's process: ours, with what stands in for settings that are not set."""
    given = {f"CLARION_{name.upper()}": value for name, value in overrides.items() if value is not None}
    return {**os.environ, **given}


def _announce(settings: Settings, tenant: FirstTenant, url: str, options: UpOptions) -> None:
    ready = Ready(
        "ready", {settings.region: url}, tenant.tenant_id, tenant.api_key, None, str(options.data.absolute())
    )
    if options.json:
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    else:
        sys.stdout.write(
            f"Clarion is ready at {url}\n"
            f"  API key   {tenant.api_key}\n"
            f"            (also in {options.data / 'credentials.json'})\n"
            f"  Docs      {url}/docs\n"
            f"  Try       clarion demo --data {options.data}\n"
            "Ctrl-C stops it.\n"
        )
    sys.stdout.flush()


def _log_event(event: ChildEvent) -> None:
    _log.info("child", **{name: value for name, value in asdict(event).items() if value not in (None, "")})
