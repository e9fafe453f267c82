"""Trainings as runs of an MLflow server, by its REST API: a second book beside our registry, which stays the truth."""

from __future__ import annotations

from typing import Any, Final, cast

from clarion.adapters.models.server import ModelServer
from clarion.intelligence.models.registered import Metrics, Registered
from clarion.intelligence.training.calibration import error_of
from clarion.kernel.errors import Permanent

EXPERIMENT: Final = "clarion"
_API: Final = "/api/2.0/mlflow"
_EXISTS: Final = "RESOURCE_ALREADY_EXISTS"


class MlflowRuns:
    """`training.ports.Runs`: one experiment; a registered model a tenant, a run and a version a training."""

    def __init__(self, url: str) -> None:
        """`url`: of the server, as its own clients have it."""
        self._server = ModelServer(url)
        self._experiment = ""

    async def record(self, tenant: str, model: Registered) -> None:
        """Write a training down; see `Runs.record`."""
        experiment = self._experiment or await self._find_experiment()
        self._experiment = experiment
        begun_ms = model.created_ms - int(model.metrics.seconds * 1000)
        made = await self._call(
            "runs/create",
            {"experiment_id": experiment, "run_name": f"{tenant}/{model.name}", "start_time": begun_ms},
        )
        run_id = _text(made, "run", "info", "run_id")
        metrics = [
            {"key": key, "value": value, "timestamp": model.created_ms, "step": model.number}
            for key, value in _metrics(model.metrics).items()
        ]
        params = [{"key": key, "value": value} for key, value in _params(model).items()]
        tags = [{"key": key, "value": value} for key, value in _tags(tenant, model).items()]
        await self._call(
            "runs/log-batch", {"run_id": run_id, "metrics": metrics, "params": params, "tags": tags}
        )
        await self._version(f"clarion-{tenant}", run_id, model, tags)
        ended = {"run_id": run_id, "status": "FINISHED", "end_time": model.created_ms}
        await self._call("runs/update", ended)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _find_experiment(self) -> str:
        found = await self._call("experiments/search", {"filter": f"name = '{EXPERIMENT}'", "max_results": 1})
        experiments = cast("list[dict[str, Any]]", found.get("experiments") or [])
        if experiments:
            return _text(experiments[0], "experiment_id")
        return _text(await self._call("experiments/create", {"name": EXPERIMENT}), "experiment_id")

    async def _version(self, name: str, run_id: str, model: Registered, tags: list[dict[str, str]]) -> None:
        try:
            await self._call("registered-models/create", {"name": name})
        except Permanent as error:
            if _EXISTS not in error.detail:
                raise
        source = f"clarion:/models/{name}/{model.name}"
        await self._call(
            "model-versions/create",
            {"name": name, "source": source, "run_id": run_id, "description": model.reason, "tags": tags},
        )

    async def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._server.post(f"{_API}/{path}", body)
        if not isinstance(answer, dict):
            raise Permanent(f"MLflow's answer to {path} is no object")
        return cast("dict[str, Any]", answer)


def _metrics(metrics: Metrics) -> dict[str, float]:
    found = {"users": float(metrics.users), "signs": float(metrics.signs), "seconds": metrics.seconds}
    for name, figure in metrics.figures.items():
        found |= {
            name: figure.candidate,
            f"{name}/incumbent": figure.incumbent,
            f"{name}/low": figure.low,
            f"{name}/high": figure.high,
        }
    if metrics.coverage is not None:
        found["coverage of 70 percent sets"] = metrics.coverage
    if metrics.calibration:
        found["calibration error"] = error_of(metrics.calibration)
    return found


def _params(model: Registered) -> dict[str, str]:
    return {"parent": model.parent or "none", "from_ms": str(model.from_ms), "to_ms": str(model.to_ms)}


def _tags(tenant: str, model: Registered) -> dict[str, str]:
    return {
        "clarion.tenant": tenant,
        "clarion.model": model.name,
        "clarion.status": model.status,
        "clarion.reason": model.reason,
        "clarion.sha256": model.checksum.hex(),
    }


def _text(answer: dict[str, Any], *path: str) -> str:
    found: Any = answer
    for name in path:
        if not isinstance(found, dict) or name not in found:
            raise Permanent(f"MLflow's answer has no {'.'.join(path)}")
        found = cast("dict[str, Any]", found)[name]
    return str(found)
