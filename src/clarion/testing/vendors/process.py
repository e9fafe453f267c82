"""A vendor's double in a process of its own, started and ended from here."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Generator
from typing import Any

import msgspec


class DoubleProcess(msgspec.Struct):
    """`account`: the settings and credentials of an account there. `took`: what it says of itself at its end."""

    account: dict[str, Any]
    took: dict[str, Any] = {}


@contextlib.contextmanager
def running_double(kind: str) -> Generator[DoubleProcess]:
    """`python -m clarion.testing.vendors KIND` until the block ends; `took` is known after it."""
    command = [sys.executable, "-m", "clarion.testing.vendors", kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the double has no pipes")
        double = DoubleProcess(msgspec.json.decode(process.stdout.readline()))
        try:
            yield double
        finally:
            process.stdin.close()
            double.took = msgspec.json.decode(process.stdout.readline())
