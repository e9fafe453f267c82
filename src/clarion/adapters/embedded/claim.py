"""The exclusive right to run on a data directory, and what a killed predecessor left there.

The right is a lock that the kernel takes back when its holder dies, however it dies. The file beside it only names
processes: it is never believed without the start time and the command line of each of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
from pathlib import Path
from typing import Self

import msgspec

from clarion.adapters.embedded.directory import DataDirectory, explained, write_private
from clarion.adapters.embedded.errors import AlreadyRunning, DirectoryUnusable
from clarion.adapters.embedded.model import ROLE_MARK, ChildSpec
from clarion.adapters.embedded.processes import ProcessIdentity, boot_id, command_line, end_all, identify

_GRACE = 5.0  # seconds for a leftover to end by itself: a Postgres with much to write needs one or two


class _Child(msgspec.Struct, frozen=True):
    pid: int
    start_ticks: int
    stop_signal: int


class _State(msgspec.Struct, frozen=True):
    """Content of `supervisor.json`."""

    boot_id: str
    pid: int
    start_ticks: int
    children: dict[str, _Child]


class Claim:
    """Held from `take` to `release` (or the end of the process). Use it as an asynchronous context manager."""

    def __init__(self, directory: DataDirectory) -> None:
        """Prepare to claim `directory`; nothing happens before `take`."""
        self.directory = directory
        self._locks: dict[Path, int] = {}
        self._children: dict[str, _Child] = {}

    async def take(self) -> None:
        """Lock the directory and end what a killed supervisor left. Raises AlreadyRunning, DirectoryUnusable."""
        with contextlib.ExitStack() as undo:
            undo.callback(self._unlock)
            locked = self._lock(self.directory.lock, os.O_RDWR | os.O_CREAT)
            old = _read_state(self.directory.supervisor)
            holder = _holder(old)
            if not locked or holder not in {
                None,
                os.getpid(),
            }:  # the lock is free beside a holder if its file was removed
                raise _already_running(self.directory, holder)
            if old is not None and old.boot_id == boot_id():
                await _end_leftovers(old)
            self._write()
            undo.pop_all()

    def lock_folder(self, folder: Path) -> None:
        """Hold a store's folder too, so that no two servers ever share it. Raises AlreadyRunning."""
        if not self._lock(folder, os.O_RDONLY | os.O_DIRECTORY):
            raise AlreadyRunning(f"another process uses {folder}; stop it first", None)

    def record(self, spec: ChildSpec, child: ProcessIdentity) -> None:
        """Note a child that was started, so that the next start can end it if we cannot.

        A full disk is no reason to stop supervising: the kernel ends the child with us all the same.
        """
        self._children[spec.name] = _Child(child.pid, child.start_ticks, spec.stop.sign)
        with contextlib.suppress(DirectoryUnusable):
            self._write()

    def forget(self, name: str) -> None:
        """Note that a child has ended."""
        if self._children.pop(name, None):
            with contextlib.suppress(DirectoryUnusable):
                self._write()

    def release(self) -> None:
        """Give the directory back. Call it when every child has ended."""
        if self._locks:
            self.directory.supervisor.unlink(missing_ok=True)
            self._unlock()

    async def __aenter__(self) -> Self:
        """Take the claim."""
        await self.take()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Release the claim."""
        self.release()

    def _lock(self, path: Path, flags: int) -> bool:
        if path in self._locks:
            return True
        with explained(self.directory.root):
            handle = os.open(path, flags | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._locks[path] = handle
        return True

    def _unlock(self) -> None:
        while self._locks:
            os.close(self._locks.popitem()[1])

    def _write(self) -> None:
        me = identify(os.getpid())
        if me is None:  # only a dead process has no identity
            raise RuntimeError("/proc is not mounted")
        state = _State(boot_id(), me.pid, me.start_ticks, self._children)
        write_private(self.directory.supervisor, msgspec.json.encode(state) + b"\n", durable=False)


def _already_running(directory: DataDirectory, pid: int | None) -> AlreadyRunning:
    who = f"pid {pid}" if pid else "it is just starting"
    detail = (
        f"Clarion already runs on {directory.root} ({who}); stop it first, or name another folder with --data"
    )
    return AlreadyRunning(detail, pid)


def running_pid(directory: DataDirectory) -> int | None:
    """The pid of the supervisor that runs on this directory now, or None."""
    return _holder(_read_state(directory.supervisor))


def _read_state(path: Path) -> _State | None:
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError, msgspec.ValidationError):
        return msgspec.json.decode(path.read_bytes(), type=_State)
    return None


def _holder(state: _State | None) -> int | None:
    if state is None or state.boot_id != boot_id():
        return None
    return state.pid if identify(state.pid) == ProcessIdentity(state.pid, state.start_ticks) else None


async def _end_leftovers(state: _State) -> None:
    """End the recorded children that are still alive, each with its own stop signal; strangers are left alone."""
    for name, child in state.children.items():
        if f"{ROLE_MARK}{name}" in command_line(child.pid):
            leftover = ProcessIdentity(child.pid, child.start_ticks)
            await end_all([leftover], signal.Signals(child.stop_signal), _GRACE)
