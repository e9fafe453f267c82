"""The data directory: what lies where, who may read it, and what to say when it cannot be used.

    DIR/clarion.json        marks the directory as ours and names its layout
    DIR/pg/                 PostgreSQL's data directory (clarion.conf: our settings; local.conf: yours, read last)
    DIR/valkey/             Valkey's working directory (valkey.conf, appendonlydir/)
    DIR/logs/NAME.log       standard output and error of each child
    DIR/credentials.json    passwords of the stores, the default tenant's key
    DIR/master.key          the key that seals the subject keys; without it sealed data is lost for good
    DIR/ports.json          the ports of the last start
    DIR/supervisor.lock     held by whoever runs here
    DIR/supervisor.json     that process and its children

Only the owner can read any of it.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from clarion.adapters.embedded.errors import DirectoryUnusable

LAYOUT = 1
_LOG_LIMIT = 16 * 1024 * 1024
_NOT_OURS = frozenset({"lost+found"})  # what a freshly made file system holds


class _Marker(msgspec.Struct, frozen=True):
    layout: int


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A directory that Clarion may use. Made by `open`; `root` is absolute."""

    root: Path

    @classmethod
    def open(cls, path: Path) -> DataDirectory:
        """Create the directory (mode 0700) or recognise it. Raises DirectoryUnusable, whose detail says what to do.

        A directory that holds files but not our mark is refused: nothing of somebody else's is ever written over.
        """
        self = cls(path.expanduser().absolute())
        with explained(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._marker.exists():
                self._mark()
            self._check_owner()
            self.logs.mkdir(mode=0o700, exist_ok=True)
            layout = self._layout()
        if layout > LAYOUT:
            raise DirectoryUnusable(
                f"{self.root} was made by a newer Clarion (layout {layout}, this one knows {LAYOUT})"
            )
        return self

    @classmethod
    def existing(cls, path: Path) -> DataDirectory:
        """Recognise a directory that an instance made. Raises DirectoryUnusable if it is none."""
        self = cls(path.expanduser().absolute())
        if not self._marker.is_file():
            raise DirectoryUnusable(
                f"{self.root} is not a Clarion data directory; name it with --data, or run `clarion up` first"
            )
        self._check_owner()
        return self

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory."""
        return self.root / "pg"

    @property
    def valkey(self) -> Path:
        """Valkey's working directory."""
        return self.root / "valkey"

    @property
    def logs(self) -> Path:
        """Where the children's logs are."""
        return self.root / "logs"

    @property
    def credentials(self) -> Path:
        """The file with the passwords (see `Credentials`)."""
        return self.root / "credentials.json"

    @property
    def master_key(self) -> Path:
        """The file with the master key (see `Credentials.master_key`)."""
        return self.root / "master.key"

    @property
    def ports(self) -> Path:
        """The file that remembers the ports."""
        return self.root / "ports.json"

    @property
    def lock(self) -> Path:
        """The file whose lock is the right to run here."""
        return self.root / "supervisor.lock"

    @property
    def supervisor(self) -> Path:
        """The file that names the running supervisor and its children."""
        return self.root / "supervisor.json"

    def log(self, name: str) -> Path:
        """The log file of one child. One that has grown beyond 16 MB becomes `NAME.log.1` first."""
        path = self.logs / f"{name}.log"
        with explained(self.root), contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _LOG_LIMIT:
                path.replace(path.with_suffix(".log.1"))
        return path

    @property
    def _marker(self) -> Path:
        return self.root / "clarion.json"

    def _check_owner(self) -> None:
        """Root may write here, but what it writes the owner could not read: she would be locked out of her data."""
        owner = self._marker.stat().st_uid
        if os.geteuid() == 0 and owner != 0:
            raise DirectoryUnusable(
                f"{self.root} belongs to the user with id {owner}; run as that user, not as root"
            )

    def _layout(self) -> int:
        try:
            return msgspec.json.decode(self._marker.read_bytes(), type=_Marker).layout
        except msgspec.DecodeError as error:
            raise DirectoryUnusable(f"{self._marker} is damaged ({error}); restore it") from error

    def _mark(self) -> None:
        ours = (
            f".{self._marker.name}.",
            f".{self.master_key.name}",
        )  # what a start leaves that is cut short here
        names = {entry.name for entry in self.root.iterdir()} - _NOT_OURS - {self.master_key.name}
        if strangers := sorted(name for name in names if not name.startswith(ours)):
            raise DirectoryUnusable(
                f"{self.root} is not empty and not a Clarion data directory (it holds {strangers[0]})"
            )
        if not self.master_key.exists():
            write_private(self.master_key, base64.b64encode(secrets.token_bytes(32)) + b"\n")
        write_private(self._marker, msgspec.json.encode(_Marker(LAYOUT)) + b"\n")


def write_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file of mode 0600 so that a crash leaves the old content or the new. Raises DirectoryUnusable.

    Without `durable` that holds for our own crash, not the machine's, and nobody waits for the disk.
    """
    with explained(path.parent):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # it makes it 0600
        written = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            written.replace(path)
        except BaseException:
            written.unlink()
            raise
        if durable:
            sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync of the directory)."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def no_space(folder: Path) -> DirectoryUnusable:
    """The error for a full disk, when a program found out and not we."""
    return DirectoryUnusable(f"{folder}: {_REASONS[errno.ENOSPC]}")


@contextlib.contextmanager
def explained(folder: Path) -> Generator[None]:
    """Turn the system's refusal to use a folder into a DirectoryUnusable that says which and why."""
    try:
        yield
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or "it cannot be used")
        raise DirectoryUnusable(f"{folder}: {reason}") from error


_REASONS = {
    errno.EACCES: "permission denied; choose another folder with --data",
    errno.EPERM: "permission denied; choose another folder with --data",
    errno.EROFS: "the file system is read-only; choose another folder with --data",
    errno.ENOSPC: "no space left on the disk; free some and start again",
    errno.EDQUOT: "the disk quota is used up; free some space and start again",
    errno.ENOTDIR: "a part of the path is a file, not a directory",
    errno.EEXIST: "it is a file, not a directory",
}
