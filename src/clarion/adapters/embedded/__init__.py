"""Embedded stores, and the supervisor of an instance's processes. Linux (5.3 or newer) only.

An instance is a data directory (`DataDirectory`), the exclusive right to run on it (`Claim`) and a `Supervisor`, the
parent of PostgreSQL, Valkey and our own roles. Everything is told by the kernel to die with the supervisor; what a
`kill -9` leaves all the same is found and ended by the next claim. How `clarion up` uses it:

    directory = DataDirectory.open(Path(".clarion"))       # DirectoryUnusable: one line that says what to do
    async with Claim(directory) as claim:                  # AlreadyRunning: names the pid that runs here
        supervisor = Supervisor(claim, on_event=log_event)

        async def start(supervisor: Supervisor) -> None:
            urls = await start_stores(supervisor, StoreOptions())   # both side by side; URLs with passwords
            ...                                                     # roles, databases, migrations
            main, port = "clarion.entrypoints.cli.main", Ports(directory).choose("api")
            api = Role("api", main, ("api", "--port", str(port)), env, order=10, port=port, ready=http_probe(port))
            worker = Role("worker", main, ("worker",), env)         # without `ready`: it calls notify_ready() itself
            await supervisor.start(role_child(api), role_child(worker))

        await supervise(supervisor, start)                 # until SIGTERM or SIGINT; stops all in order, within 28 s

It must run on the main thread, under asyncio or uvloop. Other commands use `borrow_stores(path)`, which takes the
running stores or starts them for a while, and `running_pid(directory)`.

Guarantees
* A child that dies is started again for ever, with exponential back-off and jitter; stores first clear what is left of
  their predecessor, and wait for their recovery as long as it takes.
* Stop order: api (10), worker (20), Valkey (30), PostgreSQL (40); who does not stop in time is killed.
* A second start on the same directory finds the same data, passwords and, if they are free, ports.
* No process is signalled by its pid alone: start time, command line or working directory must fit as well.
"""

from __future__ import annotations

from clarion.adapters.embedded.claim import Claim, running_pid
from clarion.adapters.embedded.credentials import Credentials
from clarion.adapters.embedded.directory import DataDirectory
from clarion.adapters.embedded.errors import AlreadyRunning, BinaryMissing, DirectoryUnusable, StartFailed
from clarion.adapters.embedded.model import (
    ChildEvent,
    ChildSpec,
    Command,
    EventKind,
    Probe,
    RestartPolicy,
    StopPlan,
)
from clarion.adapters.embedded.ports import Ports
from clarion.adapters.embedded.postgres import PostgresOptions
from clarion.adapters.embedded.readiness import http_probe, notify_ready
from clarion.adapters.embedded.roles import Role, role_child
from clarion.adapters.embedded.stores import StoreOptions, StoreUrls, borrow_stores, start_stores, store_urls
from clarion.adapters.embedded.supervisor import Supervisor, supervise
from clarion.adapters.embedded.valkey import ValkeyOptions

__all__ = [
    "AlreadyRunning",
    "BinaryMissing",
    "ChildEvent",
    "ChildSpec",
    "Claim",
    "Command",
    "Credentials",
    "DataDirectory",
    "DirectoryUnusable",
    "EventKind",
    "Ports",
    "PostgresOptions",
    "Probe",
    "RestartPolicy",
    "Role",
    "StartFailed",
    "StopPlan",
    "StoreOptions",
    "StoreUrls",
    "Supervisor",
    "ValkeyOptions",
    "borrow_stores",
    "http_probe",
    "notify_ready",
    "role_child",
    "running_pid",
    "start_stores",
    "store_urls",
    "supervise",
]
