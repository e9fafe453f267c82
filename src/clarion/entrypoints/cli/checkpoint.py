"""How far an import has come, kept beside its rejects, so that a killed one goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from clarion.entrypoints.cli.user_file import FileShape, Position, Record
from clarion.kernel.errors import Conflict, Invalid

FINGERPRINTED: Final = 1 << 20
PRIVATE: Final = 0o600
"""Rejects hold what the file holds: addresses."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """All before `position` is stored or among the first `reject_bytes` of the rejects.

    `file` is a hash of what is imported, and how: a checkpoint of something else is not gone on from.
    """

    file: str
    position: Position = Position()
    reject_bytes: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


class Reject(msgspec.Struct, frozen=True):
    """One line of the rejects: where the record stood, what is wrong with it, and the record."""

    line: int
    path: str
    reason: str
    record: list[str] | str


class Journal:
    """The rejects and the checkpoint of one import. Build with `open_journal`."""

    def __init__(self, rejects: Path, output: int, begun: Checkpoint) -> None:
        self.rejects = rejects
        self.reached = begun
        self._path = checkpoint_of(rejects)
        self._encoder = msgspec.json.Encoder()
        self._output = output

    def reject(self, records: Sequence[tuple[Record, Invalid]]) -> int:
        """Write rejects; how many bytes they are."""
        lines = [
            self._encoder.encode(Reject(record.line, error.path, error.detail, record.source)) + b"\n"
            for record, error in records
        ]
        return os.write(self._output, b"".join(lines)) if lines else 0

    def reach(self, checkpoint: Checkpoint) -> None:
        """Make a checkpoint durable: the rejects first, so that none is missing behind it."""
        if checkpoint.reject_bytes != self.reached.reject_bytes:
            os.fsync(self._output)
        partial = self._path.with_name(self._path.name + ".new")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
        try:
            os.write(handle, self._encoder.encode(checkpoint))
            os.fsync(handle)
        finally:
            os.close(handle)
        partial.replace(self._path)
        self.reached = checkpoint

    def finish(self) -> None:
        """The import is over: no checkpoint stays, and no rejects where there are none."""
        self._path.unlink(missing_ok=True)
        if os.fstat(self._output).st_size == 0:
            self.rejects.unlink(missing_ok=True)


@contextmanager
def open_journal(file: str, rejects: Path, *, restart: bool) -> Generator[Journal]:
    """The journal of the import of `file` (its hash), as far as an earlier run came; from the start with `restart`.

    Raises Conflict where another import writes it now, Invalid where it is that of another file.
    """
    try:
        output = os.open(rejects, os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        detail = f"{rejects}: {error.strerror}; --rejects names another place for rejects and checkpoint"
        raise Invalid(detail, "rejects") from error
    try:
        _lock(output, rejects)
        begun = (None if restart else _read(checkpoint_of(rejects))) or Checkpoint(file=file)
        if begun.file != file:
            detail = f"{checkpoint_of(rejects)} is of another file, or of this one before it changed"
            raise Invalid(
                f"{detail}; --restart begins anew (what is stored already is left as it is)", "file"
            )
        # What a killed import rejected behind its last checkpoint is rejected again.
        os.ftruncate(output, begun.reject_bytes)
        os.lseek(output, begun.reject_bytes, os.SEEK_SET)
        yield Journal(rejects, output, begun)
    finally:
        os.close(output)


def checkpoint_of(rejects: Path) -> Path:
    """The checkpoint beside a file of rejects."""
    return rejects.with_name(rejects.name + ".checkpoint")


def _lock(output: int, rejects: Path) -> None:
    """Pass as the only writer of the rejects. The one before may have removed them since they were opened."""
    try:
        fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alone = rejects.exists() and rejects.stat().st_ino == os.fstat(output).st_ino
    except BlockingIOError:
        alone = False
    if not alone:
        raise Conflict(f"another import writes {rejects} at this moment")


def fingerprint(path: Path, shape: FileShape, tenant_id: bytes) -> str:
    """A hash of a file's beginning, size and time, of how it is read, and of whose users it has."""
    with path.open("rb") as source:
        start = source.read(FINGERPRINTED)
    stat = path.stat()
    about = msgspec.json.encode([stat.st_size, stat.st_mtime_ns, shape, tenant_id])
    return hashlib.sha256(about + b"\0" + start).hexdigest()


def _read(path: Path) -> Checkpoint | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise Invalid(f"{path} is no checkpoint: {error}; --restart begins anew", "file") from error
