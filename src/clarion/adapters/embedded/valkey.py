"""The embedded Valkey: its settings, its command line, and what to do about a damaged file."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from clarion.adapters.embedded.binaries import valkey_binary
from clarion.adapters.embedded.claim import Claim
from clarion.adapters.embedded.credentials import Credentials
from clarion.adapters.embedded.directory import DataDirectory, explained, write_private
from clarion.adapters.embedded.model import ROLE_MARK, ChildSpec, Command, RestartPolicy, StopPlan
from clarion.adapters.embedded.ports import HOST
from clarion.adapters.embedded.processes import end_all, working_in
from clarion.adapters.embedded.readiness import valkey_probe

NAME = "valkey"
PASSWORD = "valkey_password"  # noqa: S105  the name of its entry in credentials.json
_PROGRAM = "valkey-server"
_DATA = "appendonlydir"
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class ValkeyOptions:
    """`maxmemory_mb` 0 means no limit (writes beyond a limit are refused, nothing is evicted). `debug` allows DEBUG."""

    maxmemory_mb: int = 0
    debug: bool = False


def valkey_url(directory: DataDirectory, port: int) -> str:
    """Where clients connect; it holds the password."""
    password = Credentials(directory).all().get(PASSWORD, "")
    return f"redis://:{password}@{HOST}:{port}/0"


async def valkey_child(claim: Claim, port: int, options: ValkeyOptions) -> ChildSpec:
    """Write the settings of a claimed directory's server, lock its folder, and describe it to the supervisor.

    Raises DirectoryUnusable, AlreadyRunning, BinaryMissing.
    """
    directory = claim.directory
    folder = directory.valkey
    with explained(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    # Two servers on one folder would both run, and both append to the same file: Valkey has no lock of its own.
    claim.lock_folder(folder)
    password = Credentials(directory).password(PASSWORD)
    settings = folder / "valkey.conf"
    write_private(settings, _settings(folder, port, password, options).encode())
    title = f"{{title}} {{listen-addr}} {ROLE_MARK}{NAME}"
    return ChildSpec(
        name=NAME,
        command=Command(
            # The title replaces the command line as soon as the server is up, so both hold the role.
            argv=(str(valkey_binary()), str(settings), "--proc-title-template", title),
            environment={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            log=directory.log(NAME),
            parent_death=signal.SIGTERM,
        ),
        stop=StopPlan(order=30, seconds=4.0),
        port=port,
        ready=valkey_probe(port, password),
        restart=RestartPolicy(initial=0.1, cap=5.0),
        clean=lambda: _clear_orphans(folder),
        recover=lambda log: set_damage_aside(folder, log),
    )


async def set_damage_aside(folder: Path, log: str) -> str | None:
    """If the log says that the append-only file cannot be read, rename it, so that the server starts empty.

    That loses no notification: Valkey holds an index of work to do, which the sweeper rebuilds from Postgres. A tail
    that was cut off is no damage, the server drops it by itself.
    """
    data = folder / _DATA
    if not any(complaint in log for complaint in _DAMAGE) or not data.exists():
        return None
    aside = next(path for n in count(1) if not (path := folder / f"{_DATA}.damaged-{n}").exists())
    data.rename(aside)
    return f"the append-only file is damaged: set aside as {aside}, starting empty"


# What the server says, each tried by damaging something: a command, the base, the list of files, a file that is gone.
_DAMAGE = (
    "Bad file format reading the append only file",
    "Internal error in RDB reading",
    "FATAL AOF MANIFEST FILE ERROR",
    "length. stat: No such file or directory",
)


async def _clear_orphans(folder: Path) -> None:
    await end_all(working_in(folder, _PROGRAM), signal.SIGTERM, _GRACE)


def _settings(folder: Path, port: int, password: str, options: ValkeyOptions) -> str:
    return f"""\
# Clarion's settings for its embedded Valkey, written anew at every start.
bind {HOST}
port {port}
requirepass {password}
dir "{folder}"
daemonize no
pidfile ""
# The log goes to standard output, which the supervisor keeps.
logfile ""
enable-debug-command {"local" if options.debug else "no"}

# An append-only file, no snapshots. A second of it may be lost with the power: Postgres knows the truth.
appendonly yes
appendfsync everysec
save ""
# Without this, a rewrite of the file makes writers wait for the disk.
no-appendfsync-on-rewrite yes
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb

# Leases and queues must not be evicted: when memory is full, writes are refused instead.
maxmemory {options.maxmemory_mb}mb
maxmemory-policy noeviction
lazyfree-lazy-user-del yes
lazyfree-lazy-user-flush yes
lazyfree-lazy-server-del yes
tcp-keepalive 60
"""
