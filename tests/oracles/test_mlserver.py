"""The Open Inference Protocol as somebody else's server speaks it: MLServer, with a model of numpy."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Generator
from pathlib import Path
from threading import Event
from urllib.request import urlopen

import numpy as np
import pytest

from clarion.adapters.models.remote import open_remote_model
from clarion.intelligence.features import NAMES
from clarion.intelligence.serving.remote import TABLE
from clarion.kernel.errors import Permanent
from tests.oracles.npm import PATIENCE_S, free_port
from tests.oracles.pythons import require_python

pytestmark = [pytest.mark.oracle, pytest.mark.timeout(180)]

SCORE = NAMES.index("engagement_score")
MODEL = f"""
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Nightly(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        features = NumpyCodec.decode_input(payload.inputs[0])
        tables = np.full((len(features), 3, 2, 24), 0.1)
        tables[:, 2, 1, 9] = features[:, {SCORE}]
        return InferenceResponse(
            model_name=self.name, outputs=[NumpyCodec.encode_output("engagement", tables)]
        )
"""


@pytest.fixture
def origin(tmp_path: Path) -> Generator[str]:
    python = require_python("mlserver")
    port = free_port()
    (tmp_path / "nightly.py").write_text(MODEL)
    (tmp_path / "model-settings.json").write_text('{"name": "nightly", "implementation": "nightly.Nightly"}')
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, **ports}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    with (tmp_path / "log").open("w") as log:
        words = [python.with_name("mlserver"), "start", str(tmp_path)]
        process = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(port, process, tmp_path / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    never, deadline = Event(), time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/v2/models/nightly/ready"):
                return
        except OSError:
            # It says by no signal that it listens: ask again.
            never.wait(0.1)
    pytest.skip(f"mlserver did not start: {log.read_text()[-300:]}")


async def test_it_understands_what_it_is_asked_and_is_understood(origin: str) -> None:
    features = np.zeros((2, len(NAMES)), np.float32)
    features[:, SCORE] = [0.25, 0.75]
    async with open_remote_model(f"{origin}/v2/models/nightly") as model:
        tables = await model.ask(features)
    assert tables.shape == (2, *TABLE)
    np.testing.assert_allclose(tables[:, 2, 1, 9], [0.25, 0.75])
    tables[:, 2, 1, 9] = 0.1
    np.testing.assert_allclose(tables, 0.1)


async def test_a_model_that_it_does_not_have_is_refused(origin: str) -> None:
    async with open_remote_model(f"{origin}/v2/models/weekly") as model:
        with pytest.raises(Permanent, match="404"):
            await model.ask(np.zeros((1, len(NAMES)), np.float32))
