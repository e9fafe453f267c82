"""`clarion ml vertex-job`: a request for others to send."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from clarion.entrypoints.cli.main import app
from clarion.kernel.errors import Invalid

IMAGE: Final = "europe-docker.pkg.dev/shop/clarion/trainer:1"


def test_a_job_is_printed():
    printed = CliRunner().invoke(app, ["ml", "vertex-job", IMAGE, "--env", "CLARION_REGION=eu-west-1"])
    assert printed.exit_code == 0, printed.output
    request: dict[str, Any] = json.loads(printed.stdout)
    (pool,) = request["jobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["args"] == ["train", "--json"]
    assert {"name": "CLARION_REGION", "value": "eu-west-1"} in pool["containerSpec"]["env"]


@pytest.mark.parametrize("env", ["CLARION_REGION", "CLARION_MASTER_KEY=secret"])
def test_half_a_setting_and_a_secret_are_refused(env: str):
    refused = CliRunner().invoke(app, ["ml", "vertex-job", IMAGE, "--env", env])
    assert isinstance(refused.exception, Invalid)
