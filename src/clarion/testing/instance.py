"""A whole Clarion in a directory, started as its users start it, for stories, chaos and benches."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from clarion.adapters.embedded import Credentials, DataDirectory, store_urls
from clarion.adapters.postgres.migrate import PIPELINE_ROLE, Databases, database_url
from clarion.adapters.sealing.master_key import MasterKey

STOP_WITHIN_S: Final = 40.0
POLL_S: Final = 0.02


class Instance(msgspec.Struct, frozen=True):
    """A running Clarion. `seconds`: from the command to its ready line."""

    url: str
    api_key: str
    tenant_id: str
    data: Path
    pid: int
    seconds: float

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the API."""
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    @property
    def database_url(self) -> str:
        """The regional database, as the pipeline's role. Raises LookupError without an embedded Postgres."""
        master = MasterKey.from_text(Credentials(DataDirectory.existing(self.data)).master_key())
        login = (PIPELINE_ROLE, master.password(PIPELINE_ROLE))
        return database_url(self.owner_url, Databases().regional, login)

    @property
    def owner_url(self) -> str:
        """The regional database, as its owner, who may make tables. Raises LookupError without an embedded Postgres."""
        admin = store_urls(DataDirectory.existing(self.data)).postgres
        if admin is None:
            raise LookupError(self.data)
        return database_url(admin, Databases().regional)

    def pid_of(self, role: str) -> int:
        """The process of a role (`api`, `worker`, `postgres`, `valkey`). Raises LookupError where there is none."""
        for pid in family_of(self.pid):
            if role_of(pid) == role:
                return pid
        raise LookupError(role)

    def log_of(self, role: str) -> str:
        """What a role wrote to its log."""
        return DataDirectory.existing(self.data).log(role).read_text(errors="replace")

    def environment_of(self, role: str) -> dict[str, str]:
        """The environment that a role's process was started with: a further process of the role needs the same."""
        words = Path(f"/proc/{self.pid_of(role)}/environ").read_bytes().decode().split("\0")
        return {name: value for name, _, value in (word.partition("=") for word in words) if name}

    def signal(self, role: str, sign: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to a role's process, and give its pid. Raises LookupError where there is none."""
        pid = self.pid_of(role)
        os.kill(pid, sign)
        return pid

    @contextlib.contextmanager
    def kept_down(self, role: str) -> Generator[None]:
        """Kill a role's process, and each of its successors as it appears, until the block ends."""
        over = threading.Event()

        def keep_down() -> None:
            while not over.is_set():
                with contextlib.suppress(LookupError, ProcessLookupError):
                    self.signal(role)
                over.wait(POLL_S)

        self.signal(role)
        keeper = threading.Thread(target=keep_down, name=f"keep-{role}-down")
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()


@contextlib.contextmanager
def clarion_up(
    data: Path | None = None, environment: Mapping[str, str] | None = None, prefix: Sequence[str] = ()
) -> Generator[Instance]:
    """`clarion up` on a data directory (None: a new one, removed afterwards), stopped by SIGTERM when the block ends.

    `prefix` comes before its command line, and has to execute it in its own place. Raises RuntimeError with the end of
    its log where it does not come up.
    """
    with contextlib.ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clarion-"))) / "data"
        log_path = folder.with_name(f"{folder.name}.log")
        log = stack.enter_context(log_path.open("ab"))
        began = time.monotonic()
        command = [sys.executable, "-m", "clarion.entrypoints.cli.main", "up", "--json", "--port", "0"]
        process = subprocess.Popen(
            [*prefix, *command, "--data", str(folder)],
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=log,
        )
        stack.callback(_stop, process)
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            code = process.wait()
            raise RuntimeError(f"clarion up ended with {code}: {log_path.read_text()[-2000:]}")
        ready: dict[str, Any] = msgspec.json.decode(line)
        url: str = next(iter(ready["regions"].values()))
        seconds = time.monotonic() - began
        yield Instance(url, ready["api_key"], ready["tenant_id"], folder, process.pid, seconds)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def family_of(root: int) -> list[int]:
    """A process and all its descendants, the process first."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    family, frontier = [root], [root]
    while frontier:
        frontier = [child for parent in frontier for child in children.get(parent, [])]
        family += frontier
    return family


def words_of(pid: int) -> list[str]:
    """The command line of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def role_of(pid: int) -> str:
    """The `clarion-role` of a process, "" where it has none."""
    marks = (word.partition("clarion-role=")[2] for word in words_of(pid) if "clarion-role=" in word)
    return next(marks, "").partition(" ")[0]
