"""Training on Vertex AI: `clarion train` in a container, as one CustomJob of Google's API (aiplatform v1).

What is built here is the body of `POST v1/projects/{project}/locations/{region}/customJobs`. Who sends it, and with
which credentials, is the operator's: `gcloud`, Terraform, a scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from clarion.kernel.errors import Invalid

MACHINE: Final = "n1-standard-4"
"""Fitting is arithmetic on columns: one process of two cores, and memory for the history of one tenant at a time."""

LONGEST_S: Final = 3 * 3600
"""A night's training that takes longer has gone wrong, and is ended."""

_LONGEST_NAME: Final = 128

SECRETS: Final = frozenset(
    {
        "CLARION_MASTER_KEY",
        "CLARION_MASTER_KEY_PREVIOUS",
        "CLARION_POSTGRES_URL",
        "CLARION_GLOBAL_URL",
        "CLARION_REDIS_URL",
    }
)
"""Variables that hold credentials."""


@dataclass(frozen=True, slots=True)
class VertexJob:
    """A job. `image`: the container, as `deploy/trainer.Dockerfile` builds it; `tenant` "": all tenants.

    `environment`: `CLARION_*` variables by name. Secrets (`SECRETS`) are refused there, since a job shows its variables
    to whoever may look at it: the container reads them from a `clarion.toml` in its working directory.
    """

    image: str
    name: str = "clarion-train"
    tenant: str = ""
    machine: str = MACHINE
    service_account: str = ""
    network: str = ""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def job_request(job: VertexJob) -> dict[str, Any]:
    """The request's body. Raises Invalid where Vertex AI, or good sense, would refuse it."""
    _check(job)
    container: dict[str, Any] = {"imageUri": job.image, "args": ["train", "--json"]}
    if job.tenant:
        container["args"] += ["--tenant", job.tenant]
    container["env"] = [{"name": name, "value": value} for name, value in sorted(job.environment.items())]
    spec: dict[str, Any] = {
        "workerPoolSpecs": [
            {
                "machineSpec": {"machineType": job.machine},
                "replicaCount": "1",  # int64 is a text in Google's JSON
                "containerSpec": container,
            }
        ],
        # Two trainers at once would be one too many: a restarted job begins anew, and the lease is the database's.
        "scheduling": {"timeout": f"{LONGEST_S}s", "restartJobOnWorkerRestart": False},
    }
    if job.service_account:
        spec["serviceAccount"] = job.service_account
    if job.network:
        spec["network"] = job.network
    request: dict[str, Any] = {"displayName": job.name, "jobSpec": spec}
    if job.labels:
        request["labels"] = dict(job.labels)
    return request


def _check(job: VertexJob) -> None:
    if not job.image or any(letter.isspace() for letter in job.image):
        raise Invalid("an image is named like europe-docker.pkg.dev/project/clarion/trainer:1", "image")
    if not 0 < len(job.name) <= _LONGEST_NAME:
        raise Invalid(f"a job's name has 1 to {_LONGEST_NAME} characters", "name")
    for name in job.environment:
        if not name.startswith("CLARION_"):
            raise Invalid(f"{name} is no variable of Clarion's: they begin with CLARION_", "environment")
        if name in SECRETS:
            raise Invalid(
                f"{name} is a secret, and a job shows its environment: give it in the container's clarion.toml",
                "environment",
            )
