"""Software from npm, as `tools.oracles` installed it: found, started on a port of its own, ended with its test."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, Final

import pytest

from tools.oracles import MISSING, NODE

FOLDER: Final = Path(os.environ["CLARION_ORACLES"]) if "CLARION_ORACLES" in os.environ else None
"""Where it is installed; None: these tests are not to run."""

SPECS: Final = Path(__file__).with_name("specs")
PATIENCE_S: Final = 60.0
_URL: Final = re.compile(r"http://127\.0\.0\.1:\d+")


def require(name: str) -> Path:
    """The folder of a package. Skips the test where it is not installed, with the reason."""
    if FOLDER is None:
        pytest.skip("run by `make test-contract`")
    folder = FOLDER / "node_modules" / name
    if not folder.is_dir():
        missing: dict[str, str] = json.loads((FOLDER / MISSING).read_text(encoding="utf-8"))
        pytest.skip(f"npm package {name} is not installed: {missing.get(name, 'nobody tried')}")
    return folder


def run_node(script: str, *words: str, environment: Mapping[str, str] | None = None) -> str:
    """What a script prints that requires packages by their names. Raises CalledProcessError."""
    assert FOLDER is not None
    done = subprocess.run(
        [NODE, "-e", script, *words],
        cwd=FOLDER,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout.strip()


@contextmanager
def started(words: Sequence[str], ready: str, environment: Mapping[str, str] | None = None) -> Generator[str]:
    """Run `node` with these words; what it has printed once that contains `ready`. It ends with the block.

    Skips the test where it ends before, with what it said.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [str(NODE), *words],
            cwd=FOLDER,
            env={**os.environ, "NO_COLOR": "1", **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _output_with(ready, log, process)
        finally:
            process.kill()
            process.wait()


def _output_with(ready: str, log: Any, process: subprocess.Popen[bytes]) -> str:
    never, deadline = Event(), time.monotonic() + PATIENCE_S
    while True:
        has_ended = process.poll() is not None
        log.seek(0)
        said = str(log.read())
        if ready in said:
            return said
        if has_ended or time.monotonic() > deadline:
            pytest.skip(f"{process.args!r} did not start: {said[-300:]}")
        # There is no signal for what another process prints into a file: ask again.
        never.wait(0.05)


def free_port() -> int:
    """A port of this machine that nobody had a moment ago, for software that cannot say which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def prism(spec: str) -> Generator[str]:
    """The url of Prism, a server that holds requests against an API's own description, in `specs`."""
    package = require("@stoplight/prism-cli")
    words = [
        str(package / "dist" / "index.js"),
        "mock",
        "-h",
        "127.0.0.1",
        "-p",
        "0",
        str(SPECS / f"{spec}.json"),
    ]
    with started(words, "Prism is listening") as said:
        found = _URL.findall(said)
        yield found[-1]
