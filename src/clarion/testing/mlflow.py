"""An MLflow server for tests: the part of its REST API that recording a training uses, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

_API: Final = "/api/2.0/mlflow"


class MlflowDouble:
    """What it holds. `gate`: closed, it says nothing; `broken`: it answers 500."""

    def __init__(self) -> None:
        self.experiments: list[str] = []
        self.runs: list[dict[str, Any]] = []
        self.models: dict[str, list[dict[str, Any]]] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False
        self.url = ""
        self._handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "experiments/search": self._search_experiments,
            "experiments/create": self._create_experiment,
            "runs/create": self._create_run,
            "runs/log-batch": self._log_batch,
            "runs/update": self._update_run,
            "runs/search": self._search_runs,
            "registered-models/create": self._create_model,
            "registered-models/get": self._get_model,
            "model-versions/create": self._create_version,
        }

    async def answer(self, request: web.Request) -> web.Response:
        """Any call."""
        await self.gate.wait()
        if self.broken:
            return web.json_response({"error_code": "INTERNAL_ERROR"}, status=500)
        path = request.match_info["path"]
        body: dict[str, Any] = await request.json() if request.can_read_body else dict(request.query)
        handle = self._handlers.get(path)
        if handle is None:
            return web.json_response({"error_code": "ENDPOINT_NOT_FOUND"}, status=404)
        try:
            return web.json_response(handle(body))
        except FileExistsError:
            return web.json_response({"error_code": "RESOURCE_ALREADY_EXISTS", "message": ""}, status=400)
        except (KeyError, IndexError, ValueError):
            return web.json_response({"error_code": "INVALID_PARAMETER_VALUE"}, status=400)

    def _search_experiments(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = body["filter"].removeprefix("name = '").removesuffix("'")
        found = [place for place, name in enumerate(self.experiments) if name == wanted]
        return {"experiments": [{"experiment_id": str(place), "name": wanted} for place in found]}

    def _create_experiment(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["name"] in self.experiments:
            raise FileExistsError
        self.experiments.append(body["name"])
        return {"experiment_id": str(len(self.experiments) - 1)}

    def _create_run(self, body: dict[str, Any]) -> dict[str, Any]:
        experiment = int(body["experiment_id"])
        if experiment >= len(self.experiments):
            raise IndexError
        info = {"run_id": f"{len(self.runs):032x}", "run_name": body["run_name"], "status": "RUNNING"}
        self.runs.append({"info": info, "data": {"metrics": [], "params": [], "tags": []}})
        return {"run": self.runs[-1]}

    def _log_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        data = self.runs[int(body["run_id"], 16)]["data"]
        for kind in data:
            data[kind] += body[kind]
        return {}

    def _update_run(self, body: dict[str, Any]) -> dict[str, Any]:
        info = self.runs[int(body["run_id"], 16)]["info"]
        info["status"] = body["status"]
        return {"run_info": info}

    def _search_runs(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"runs": self.runs if body["experiment_ids"] else []}

    def _create_model(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["name"] in self.models:
            raise FileExistsError
        self.models[body["name"]] = []
        return {"registered_model": {"name": body["name"]}}

    def _create_version(self, body: dict[str, Any]) -> dict[str, Any]:
        versions = self.models[body["name"]]
        version = {**body, "version": str(len(versions) + 1)}
        versions.append(version)
        return {"model_version": version}

    def _get_model(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"registered_model": {"name": body["name"], "latest_versions": self.models[body["name"]][-1:]}}


@asynccontextmanager
async def running_mlflow() -> AsyncGenerator[MlflowDouble]:
    """An MLflow server on a free port of this machine."""
    double = MlflowDouble()
    app = web.Application()
    app.router.add_route("*", _API + "/{path:.*}", double.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.url = f"http://{host}:{port}"
    try:
        yield double
    finally:
        double.gate.set()
        await runner.cleanup()
