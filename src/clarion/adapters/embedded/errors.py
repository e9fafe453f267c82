"""Why an embedded store or a role could not be started. Each `detail` is one line that a person can act on."""

from __future__ import annotations

import re

from clarion.kernel.errors import Conflict, Permanent, Transient


class AlreadyRunning(Conflict):
    """Another process runs on this data directory. `pid` is that process, or None while it is still starting."""

    def __init__(self, detail: str, pid: int | None) -> None:
        super().__init__(detail)
        self.pid = pid


class DirectoryUnusable(Permanent):
    """The data directory cannot be written, is full, is not a directory, or belongs to something else."""


class BinaryMissing(Permanent):
    """This platform has no embedded server: the wheel is not installed, or the system is not Linux."""


class StartFailed(Transient):
    """A child ended before it was ready, as often as its policy allows.

    `name` is the child, `exit_code` its last exit code (negative: the signal that killed it, None: it could not even
    be executed), `log_tail` what it wrote during its last attempt.
    """

    def __init__(self, name: str, exit_code: int | None, log_tail: str) -> None:
        how = (
            "could not be executed"
            if exit_code is None
            else f"ended with code {exit_code} before it was ready"
        )
        super().__init__(f"{name} {how}: {_telling_line(log_tail)}")
        self.name = name
        self.exit_code = exit_code
        self.log_tail = log_tail


def _telling_line(log_tail: str) -> str:
    """The last line that speaks of an error, or else the last one: servers say goodbye after the reason."""
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()]
    telling = [line for line in lines if _ERROR.search(line)]
    return (telling or lines or ["it wrote nothing"])[-1]


_ERROR = re.compile("error|fatal|panic", re.IGNORECASE)
