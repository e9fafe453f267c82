"""PostgreSQL refuses to run as root. This finds out how not to be root, where we are."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from clarion.adapters.embedded.errors import DirectoryUnusable

_NOBODY = 65534
_UNSHARE = ("unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}")


@dataclass(frozen=True, slots=True)
class Launcher:
    """How a program is executed without being root: words before its own, or a user to change to."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def hand_over(self, path: Path) -> None:
        """As root, give a file, or a folder and its content, to whom the program runs as. Quick if it is theirs."""
        owner = os.geteuid() if self.user is None else self.user
        if os.geteuid() != 0 or path.stat().st_uid == owner:
            return
        # The folder itself comes last: if we are cut short, the next start begins again.
        for entry in (*path.rglob("*"), path):
            os.chown(entry, owner, owner, follow_symlinks=False)

    def reach(self, program: Path, folder: Path) -> None:
        """Make sure that the user, if there is one to change to, can reach the program and what is in our own `folder`.

        The folder may then be passed through (0711), not listed; the secrets in it stay closed by their own modes.
        Raises DirectoryUnusable if a folder further up is closed: that one is not ours to open.
        """
        if self.user is None:
            return
        folder.chmod(folder.stat().st_mode | 0o011)
        for path in (program, folder / "any"):
            if blocked := next(
                (parent for parent in reversed(path.parents) if not self._may_pass(parent)), None
            ):
                raise DirectoryUnusable(
                    f"{blocked} cannot be entered by the user nobody, as which PostgreSQL has to run because user "
                    f"namespaces are forbidden here; start as an ordinary user, or use another folder"
                )

    def _may_pass(self, folder: Path) -> bool:
        status = folder.stat()
        return bool(status.st_mode & 0o001) or status.st_uid == self.user


def launcher() -> Launcher:
    """The best way here: as we are; as root in a user namespace in which we are nobody; or as the user nobody.

    In the namespace the files stay root's and every folder stays as closed as it is. Where it is forbidden (Docker's
    default seccomp profile), the folder is handed to nobody, who must be able to reach it.
    """
    if os.geteuid() != 0:
        return Launcher()
    return Launcher(prefix=_UNSHARE) if _namespaces_allowed() else as_nobody()


def _namespaces_allowed() -> bool:
    if shutil.which(_UNSHARE[0]) is None:
        return False
    return subprocess.run([*_UNSHARE, "true"], capture_output=True, check=False).returncode == 0


def as_nobody() -> Launcher:
    """Change to the user nobody. It needs its entry in the password file: initdb looks its name up."""
    return Launcher(user=pwd.getpwnam("nobody").pw_uid)
