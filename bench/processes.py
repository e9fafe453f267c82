"""Finding the processes of a running Clarion."""

from __future__ import annotations

from pathlib import Path


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
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def role_of(pid: int) -> str:
    """The `clarion-role` of a process, "" where it has none."""
    return next((word.partition("clarion-role=")[2] for word in words_of(pid) if "clarion-role=" in word), "")


def pid_of_role(root: int, role: str) -> int:
    """The process of a role below `root`. Raises LookupError where there is none."""
    for pid in family_of(root):
        if role_of(pid) == role:
            return pid
    raise LookupError(role)
