"""The job request for Vertex AI, held against Google's own description of it, as its client for Python carries it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema_rs
import pytest

from clarion.adapters.models.vertex import SECRETS, VertexJob, job_request
from clarion.kernel.errors import Invalid
from tests.oracles.discovery import schema_of

JOB = "GoogleCloudAiplatformV1CustomJob"
IMAGE = "europe-docker.pkg.dev/shop/clarion/trainer:1"


def described() -> dict[str, Any]:
    document = files("googleapiclient") / "discovery_cache" / "documents" / "aiplatform.v1.json"
    return json.loads(document.read_text())


@pytest.fixture(scope="module")
def schema() -> Any:
    return jsonschema_rs.validator_for(schema_of(described(), JOB))


FULL = VertexJob(
    image=IMAGE,
    tenant="shop",
    service_account="trainer@shop.iam.gserviceaccount.com",
    network="projects/1/global/networks/private",
    environment={"CLARION_REGION": "eu-west-1"},
    labels={"team": "messages"},
)


@pytest.mark.parametrize("job", [VertexJob(image=IMAGE), FULL], ids=["least", "most"])
def test_the_request_is_as_google_describes_it(schema: Any, job: VertexJob) -> None:
    schema.validate(job_request(job))


def test_no_field_is_one_that_only_google_writes() -> None:
    described_job = described()["schemas"][JOB]["properties"]
    assert not [name for name in job_request(FULL) if described_job[name].get("readOnly")]


def test_the_schema_refuses_what_google_does_not_know(schema: Any) -> None:
    assert not schema.is_valid(job_request(FULL) | {"display_name": "x"})
    odd = job_request(FULL)
    odd["jobSpec"]["workerPoolSpecs"][0]["replicaCount"] = 1
    assert not schema.is_valid(odd)


def test_it_runs_the_command_of_the_house() -> None:
    (pool,) = job_request(FULL)["jobSpec"]["workerPoolSpecs"]
    assert pool["containerSpec"]["args"] == ["train", "--json", "--tenant", "shop"]


@pytest.mark.parametrize("name", [*sorted(SECRETS), "PATH"])
def test_secrets_and_strangers_are_kept_out_of_its_environment(name: str) -> None:
    with pytest.raises(Invalid, match=name):
        job_request(VertexJob(image=IMAGE, environment={name: "x"}))


@pytest.mark.parametrize(
    "job", [VertexJob(image=""), VertexJob(image="a b"), VertexJob(image=IMAGE, name="")]
)
def test_what_vertex_would_refuse_is_refused_here(job: VertexJob) -> None:
    with pytest.raises(Invalid):
        job_request(job)
