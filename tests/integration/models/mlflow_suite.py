"""What an MLflow server has to hold after trainings were written down: of the double, and of the real one."""

from __future__ import annotations

from typing import Any, Final

import aiohttp

from clarion.adapters.models.mlflow import EXPERIMENT, MlflowRuns
from clarion.intelligence.models.registered import Band, Figure, Metrics, Registered

TENANT: Final = "01a2085f-c157-7085-9052-2099fca6bae0"
NOW: Final = 1_795_608_000_000


def trained(number: int) -> Registered:
    """A training as the registry knows it."""
    figure = Figure(-2.8, -2.9, 0.05, 0.15, 812)
    metrics = Metrics(
        {"log score of hours": figure}, 0.703, 900, 120_000, 4.2, calibration=(Band(0.1, 0.12, 1.0),)
    )
    name, yesterday = f"eb-{number}", NOW - 86_400_000
    checksum = b"\x01" * 32
    return Registered(
        name, number, "live", "eb-0", "better", yesterday, NOW, metrics, checksum, created_ms=NOW
    )


async def holds_what_was_recorded(url: str) -> None:
    """Record two trainings, and read them back by the server's own API."""
    runs = MlflowRuns(url)
    for number in (1, 2):
        await runs.record(TENANT, trained(number))
    await runs.close()
    again = MlflowRuns(url)
    await again.record(TENANT, trained(3))
    await again.close()

    async with aiohttp.ClientSession(f"{url}/api/2.0/mlflow/") as session:

        async def post(path: str, body: dict[str, Any]) -> Any:
            async with session.post(path, json=body) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        found = await post("experiments/search", {"filter": f"name = '{EXPERIMENT}'", "max_results": 5})
        (experiment,) = found["experiments"]
        held = (await post("runs/search", {"experiment_ids": [experiment["experiment_id"]]}))["runs"]
        assert {run["info"]["run_name"] for run in held} == {f"{TENANT}/eb-{number}" for number in (1, 2, 3)}
        assert {run["info"]["status"] for run in held} == {"FINISHED"}
        (second,) = [run["data"] for run in held if run["info"]["run_name"].endswith("eb-2")]
        values = {metric["key"]: metric["value"] for metric in second["metrics"]}
        assert values["log score of hours"] == -2.8
        assert values["log score of hours/low"] == 0.05
        assert abs(values["calibration error"] - 0.02) < 1e-9
        tags = {tag["key"]: tag["value"] for tag in second["tags"]}
        assert (tags["clarion.sha256"], tags["clarion.status"]) == ("01" * 32, "live")
        assert {one["key"]: one["value"] for one in second["params"]}["parent"] == "eb-0"
        async with session.get("registered-models/get", params={"name": f"clarion-{TENANT}"}) as answer:
            model = (await answer.json())["registered_model"]
        assert [version["version"] for version in model["latest_versions"]] == ["3"]
