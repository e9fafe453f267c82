"""Linux processes: who they are, how to start, await and end them without hitting a stranger.

A pid alone names nobody: it is reused. A process is a pid together with its start time, and is signalled through a
pidfd, which stays bound to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from clarion.adapters.embedded.model import Command

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl  # resolved before any fork: the child must not look symbols up
_STANDARD_ERROR = 2  # our standard output may be a contract (`clarion up --json`)
_ORPHANED = 127  # exit code of a child whose parent was gone before it could ask for the signal


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process for as long as this boot lasts: its pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


def identify(pid: int) -> ProcessIdentity | None:
    """The process that has this pid now; None if there is none or it is dead but not reaped (a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()  # the name before ")" may hold anything, even ") Z 1"
    if fields[0] in {b"Z", b"X"}:
        return None
    return ProcessIdentity(pid, int(fields[19]))  # 22nd field of proc_pid_stat(5)


def command_line(pid: int) -> str:
    """The words of the process's command line, joined by spaces; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def boot_id() -> str:
    """Names this boot of the machine: start times of another boot mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def working_in(folder: Path, program: str) -> list[ProcessIdentity]:
    """Every live process of this program whose working directory is `folder` (empty if the folder is missing)."""
    try:
        wanted = folder.stat()
    except OSError:
        return []
    found: list[ProcessIdentity] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to look at
            here = (entry / "cwd").stat()
            if (here.st_dev, here.st_ino) != (wanted.st_dev, wanted.st_ino):
                continue
            if (entry / "comm").read_text().strip() == program and (identity := identify(int(entry.name))):
                found.append(identity)
    return found


async def end_all(processes: Iterable[ProcessIdentity], sign: signal.Signals, grace: float) -> None:
    """Send `sign` to each, wait `grace` seconds, SIGKILL those that are left, and return when all are gone.

    A process that ended before, or whose pid has passed to another, is left alone.
    """
    await asyncio.gather(*(_end(process, sign, grace) for process in processes))


async def _end(process: ProcessIdentity, sign: signal.Signals, grace: float) -> None:
    with pinned(process) as pidfd:
        if pidfd is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, sign)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await readable(pidfd)
                return
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            await readable(pidfd)


@contextlib.contextmanager
def pinned(process: ProcessIdentity) -> Generator[int | None]:
    """A pidfd of this very process, or None if it is gone. Its pid cannot mean another process while this is open."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield pidfd if identify(process.pid) == process else None
    finally:
        os.close(pidfd)


async def readable(fd: int) -> None:
    """Return when `fd` can be read. A pidfd can when its process has ended, reaped or not."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


class Process:
    """A program that we started and have to reap."""

    def __init__(
        self, command: Command, *, extra: Mapping[str, str] | None = None, keep: tuple[int, ...] = ()
    ) -> None:
        """Execute `command` with the variables of `extra` added; file descriptors in `keep` stay open in it.

        Must be called on the main thread, in a running event loop: the kernel sends the parent's death signal when the
        *thread* that forked is gone. Raises OSError if the program cannot be executed.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("children start on the main thread only: they would end with any other")
        self._log = command.log
        with contextlib.ExitStack() as opened:
            log = opened.enter_context(command.log.open("ab")) if command.log else None
            source = opened.enter_context(command.input.open("rb")) if command.input else subprocess.DEVNULL
            output = log or _STANDARD_ERROR
            self._log_start = log.tell() if log else 0
            self._popen = subprocess.Popen(
                command.argv,
                env={**command.environment, **(extra or {})},
                stdin=source,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in a terminal is for us; we stop the children in their order
                pass_fds=keep,
                user=command.user,
                group=command.user,
                extra_groups=None if command.user is None else [],
                preexec_fn=partial(die_with_parent, os.getpid(), command.parent_death),  # noqa: PLW1509  two system calls, no lock
            )
        self.pid = self._popen.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._loop.add_reader(self._pidfd, self._reap)

    def _reap(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self.kill_group()  # what it started goes with it; not yet reaped, its pid cannot mean another group
        self._popen.wait()
        self._ended.set()

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None until the event loop has seen it end."""
        return self._popen.returncode

    def identity(self) -> ProcessIdentity | None:
        """Who it is; None once it has ended."""
        return identify(self.pid) if self._popen.returncode is None else None

    async def wait(self) -> int:
        """Return its exit code when it has ended (at once if it has)."""
        await self._ended.wait()
        return self._popen.returncode

    def send(self, sign: signal.Signals) -> None:
        """Send a signal; nothing happens if it has ended."""
        if not self._ended.is_set():  # not by Popen.send_signal, which reaps behind our back
            signal.pidfd_send_signal(self._pidfd, sign)

    def kill_group(self) -> None:
        """SIGKILL it and all that it started in its own session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self, limit: int = 8192) -> str:
        """The last `limit` bytes of what it wrote to its log since it was started."""
        if self._log is None:
            return ""
        with contextlib.suppress(OSError), self._log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - limit))
            return log.read().decode(errors="replace")
        return ""


def die_with_parent(parent: int, sign: signal.Signals) -> None:
    """Have the kernel send this process `sign` when its parent, the process `parent`, dies."""
    _prctl(PR_SET_PDEATHSIG, int(sign))
    if os.getppid() != parent:  # it died between the fork and the request: no signal would ever come
        os._exit(_ORPHANED)


async def run_tool(command: Command) -> tuple[int, str]:
    """Run a short program to its end: its exit code and the tail of its log. It is killed if we are cancelled."""
    process = Process(command)
    try:
        code = await process.wait()
    finally:
        if process.exit_code is None:
            process.kill_group()
            await process.wait()
    return code, process.log_tail()
