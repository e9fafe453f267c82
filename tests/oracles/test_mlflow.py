"""Trainings written down at a real MLflow server: the same that the double has to hold."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import pytest

from tests.integration.models.mlflow_suite import holds_what_was_recorded
from tests.oracles.npm import PATIENCE_S, free_port
from tests.oracles.pythons import require_python

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]


@pytest.fixture
def origin(tmp_path: Path) -> Generator[str]:
    python = require_python("mlflow")
    port = free_port()
    words = [
        python.with_name("mlflow"),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/runs.db",
        "--artifacts-destination",
        str(tmp_path),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*words, *stores], cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _wait_until_ready(port, process, tmp_path / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too; there is nothing of it to keep
            process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    never, deadline = Event(), time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health"):
                return
        except OSError:
            # It says by no signal that it listens: ask again.
            never.wait(0.1)
    pytest.skip(f"mlflow did not start: {log.read_text()[-300:]}")


async def test_it_holds_a_run_and_a_version_of_each_training(origin: str):
    await holds_what_was_recorded(origin)
