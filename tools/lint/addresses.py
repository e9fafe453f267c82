"""Nothing in the repository names the machine it was made on, nor where that machine gets its packages.

A path of somebody's checkout works for her alone. An address in a lock file sends everyone else's installation to a
mirror that they cannot reach, or do not trust; versions and hashes say all that has to be said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tools.lint.model import Finding, TextFile

LOCKS: Final = ("requirements.lock", "tools/uv.lock")
"""The lock files, which must exist: a lint whose subject is gone checks nothing."""

_MACHINE_PATH: Final = re.compile(r"(?<![\w.-])/(?:work|root|home/\w[\w.-]*)/")
_ADDRESS: Final = re.compile(r"://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ")


def check_paths(file: TextFile) -> Iterator[Finding]:
    """Absolute paths of a build machine or of somebody's home, in any text file."""
    for number, line in enumerate(file.text.splitlines(), start=1):
        if found := _MACHINE_PATH.search(line):
            yield Finding(file.path, number, "machine-path", f"{found[0]}: a path of one machine")


def check_lock(file: TextFile) -> Iterator[Finding]:
    """Addresses and index options in a lock file."""
    for number, line in enumerate(file.text.splitlines(), start=1):
        if found := _ADDRESS.search(line):
            yield Finding(file.path, number, "lock-address", f"{found[0].strip()}: locks hold no addresses")
