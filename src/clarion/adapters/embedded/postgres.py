"""The embedded PostgreSQL: its directory, its settings, its command line, and how to clear up after a killed one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from clarion.adapters.embedded.binaries import postgres_binary
from clarion.adapters.embedded.claim import Claim
from clarion.adapters.embedded.credentials import Credentials, new_password
from clarion.adapters.embedded.directory import (
    DataDirectory,
    explained,
    no_space,
    sync_folder,
    write_private,
)
from clarion.adapters.embedded.errors import StartFailed
from clarion.adapters.embedded.model import ROLE_MARK, ChildSpec, Command, RestartPolicy, StopPlan
from clarion.adapters.embedded.ports import HOST
from clarion.adapters.embedded.privileges import Launcher, launcher
from clarion.adapters.embedded.processes import end_all, identify, run_tool, working_in
from clarion.adapters.embedded.readiness import postgres_probe

NAME = "postgres"
USER = "clarion"
PASSWORD = "postgres_password"  # noqa: S105  the name of its entry in credentials.json
_PROGRAM = "postgres"
_INCLUDE = "\ninclude_if_exists = 'clarion.conf'\n"
_LOCAL = "# Your settings: read after clarion.conf, so they win. Clarion never changes this file again.\n"
_STAGING = "pg.new-"
_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """Sizes of the embedded server. `settings` are further lines of its configuration; they win over ours."""

    shared_buffers_mb: int = 128
    max_connections: int = 100
    max_wal_mb: int = 1024
    settings: Mapping[str, str] = field(default_factory=dict[str, str])

    def lines(self) -> str:
        """These options as lines of a configuration file."""
        values = {
            "shared_buffers": f"{self.shared_buffers_mb}MB",
            "max_connections": str(self.max_connections),
            "max_wal_size": f"{self.max_wal_mb}MB",
            **self.settings,
        }
        return "".join(f"{name} = {_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def postgres_url(directory: DataDirectory, port: int) -> str:
    """Where the superuser of the embedded server connects; it holds the password."""
    password = Credentials(directory).all().get(PASSWORD, "")
    return f"postgresql://{USER}:{password}@{HOST}:{port}/postgres"


async def postgres_child(
    claim: Claim, port: int, options: PostgresOptions, runner: Launcher | None = None
) -> ChildSpec:
    """Prepare the server of a claimed directory and describe it to the supervisor.

    The first time, the database cluster is made; every time, its settings are written and its folder is locked.
    `runner` says how not to be root (found out by itself). Raises DirectoryUnusable, AlreadyRunning, BinaryMissing,
    and StartFailed if the cluster cannot be made.
    """
    runner = runner or launcher()
    directory = claim.directory
    folder = directory.postgres
    runner.reach(postgres_binary(_PROGRAM), directory.root)
    _remove_stagings(directory.root)
    if not folder.exists():
        await _make_cluster(directory, runner)
    claim.lock_folder(folder)
    with explained(folder):
        runner.hand_over(folder)
        _write_settings(folder, options)
        runner.hand_over(folder / "clarion.conf")
    if PASSWORD not in Credentials(directory).all():
        await _set_new_password(directory, runner)
    return ChildSpec(
        name=NAME,
        command=_command(directory, runner, (f"--port={port}", f"--listen_addresses={HOST}")),
        stop=StopPlan(order=40, sign=signal.SIGINT, seconds=8.0),  # "fast": open transactions are rolled back
        port=port,
        ready=postgres_probe(port, USER, folder / "postmaster.pid"),
        restart=RestartPolicy(initial=0.1, cap=5.0),
        clean=lambda: clear_orphans(folder),
    )


async def clear_orphans(folder: Path) -> None:
    """End what a killed supervisor or postmaster left in this folder, and remove its pid file.

    Only for the holder of the folder's lock, while no server of its own runs: whoever works in the folder then is an
    orphan. Backends that outlive their postmaster hold its shared memory, and a server refuses to start beside them;
    it also refuses for ever when the pid in the file has passed to another process.
    """
    pid_file = folder / "postmaster.pid"
    postmaster = _recorded_postmaster(pid_file)
    orphans = working_in(folder, _PROGRAM)
    await end_all([orphan for orphan in orphans if orphan.pid == postmaster], signal.SIGINT, _GRACE)
    await end_all([orphan for orphan in orphans if identify(orphan.pid) == orphan], signal.SIGKILL, _GRACE)
    pid_file.unlink(missing_ok=True)


def _recorded_postmaster(pid_file: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(pid_file.read_text().split()[0])
    return None


def _command(directory: DataDirectory, runner: Launcher, arguments: tuple[str, ...]) -> Command:
    # The role is a made-up parameter and not `cluster_name`, which every backend would show in its title as well:
    # whoever looks for the role finds the postmaster alone.
    role = f"--clarion.role={ROLE_MARK}{NAME}"
    program = str(postgres_binary(_PROGRAM))
    return Command(
        argv=(*runner.prefix, program, "-D", str(directory.postgres), role, *arguments),
        environment=_environment(),
        log=directory.log(NAME),
        parent_death=signal.SIGINT,  # a clean shutdown even then: the next start needs no recovery
        user=runner.user,
    )


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


async def _make_cluster(directory: DataDirectory, runner: Launcher) -> None:
    """Run initdb beside the final place and move the result there: a start cut short leaves no half a cluster."""
    async with _staging(directory.root) as staging:
        password_file = staging / "password"
        write_private(password_file, Credentials(directory).password(PASSWORD).encode())
        runner.hand_over(staging)
        made = staging / "data"
        arguments = (
            *("-D", str(made), "-U", USER, "--pwfile", str(password_file), "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
        )
        program = (*runner.prefix, str(postgres_binary("initdb")))
        log = directory.log("initdb")
        await _run(Command((*program, *arguments), _environment(), log=log, user=runner.user), directory)
        with explained(directory.root):
            with (made / "postgresql.conf").open("a") as configuration:
                configuration.write(_INCLUDE)
                configuration.flush()
                os.fsync(configuration.fileno())
            (made / "local.conf").write_text(_LOCAL)
            runner.hand_over(made / "local.conf")
            made.rename(directory.postgres)
            sync_folder(directory.root)


async def _set_new_password(directory: DataDirectory, runner: Launcher) -> None:
    """Give the superuser a new password when ours was lost with `credentials.json`. The server must not run."""
    await clear_orphans(directory.postgres)
    password = new_password()
    async with _staging(directory.root) as staging:
        statement = staging / "statement.sql"
        write_private(statement, f"ALTER ROLE {USER} PASSWORD '{password}'\n".encode())
        program = (
            *runner.prefix,
            str(postgres_binary(_PROGRAM)),
            "--single",
            "-D",
            str(directory.postgres),
            "postgres",
        )
        log = directory.log(NAME)
        await _run(Command(program, _environment(), log=log, input=statement, user=runner.user), directory)
    Credentials(directory).keep(**{PASSWORD: password})


async def _run(command: Command, directory: DataDirectory) -> None:
    code, tail = await run_tool(command)
    if "No space left on device" in tail:
        raise no_space(directory.root)
    if code:
        raise StartFailed(NAME, code, tail)


@contextlib.asynccontextmanager
async def _staging(root: Path) -> AsyncGenerator[Path]:
    with explained(root):
        path = Path(tempfile.mkdtemp(prefix=_STAGING, dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _remove_stagings(root: Path) -> None:
    """Remove what a start left that was killed while it made the cluster."""
    for path in root.glob(f"{_STAGING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _write_settings(folder: Path, options: PostgresOptions) -> None:
    ours = (files("clarion.adapters.embedded") / "conf" / "postgresql.conf").read_text()
    theirs = "\ninclude_if_exists = 'local.conf'\n"
    write_private(folder / "clarion.conf", f"{ours}\n{options.lines()}{theirs}".encode())
