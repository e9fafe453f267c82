"""`clarion ml vertex-job`: the request of a training job on Vertex AI."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from clarion.adapters.models.vertex import VertexJob, job_request
from clarion.kernel.errors import Invalid


def print_job(image: str, tenant: str, service_account: str, network: str, env: Sequence[str]) -> None:
    """Print the body of the request. `env`: `NAME=VALUE`. Raises Invalid where Vertex AI, or good sense, refuses it."""
    variables: dict[str, str] = {}
    for pair in env:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"{pair!r} has to be NAME=VALUE", "env")
        variables[name] = value
    job = VertexJob(
        image, tenant=tenant, service_account=service_account, network=network, environment=variables
    )
    sys.stdout.write(json.dumps(job_request(job), indent=1) + "\n")
