"""A model server for tests: Open Inference Protocol v2 and TensorFlow Serving's REST, and what goes wrong with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np
from aiohttp import web

from clarion.intelligence.features import NAMES
from clarion.intelligence.serving.ports import FloatArray
from clarion.intelligence.serving.remote import TABLE, Tables

Formula = Callable[[FloatArray], Tables]

_ORDINARY: Final = 200


def fresh_at_nine(features: FloatArray) -> Tables:
    """A model that says 0.9 of 9 o'clock on SMS, and 0.1 of all else, to everybody."""
    tables: Tables = np.full((len(features), *TABLE), 0.1)
    tables[:, 2, :, 9] = 0.9
    return tables


class ModelServerDouble:
    """What tests turn. `asked`: the shapes that came, in order; `gate`: closed, the server says nothing."""

    def __init__(self) -> None:
        self.formula: Formula = fresh_at_nine
        self.status = _ORDINARY
        self.body: str | None = None
        self.asked: list[tuple[int, ...]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.url = ""

    async def infer(self, request: web.Request) -> web.Response:
        """`POST /v2/models/<name>/infer`."""
        body: dict[str, Any] = await request.json()
        (tensor,) = body["inputs"]
        if tensor["datatype"] != "FP32" or [one["name"] for one in body["outputs"]] != ["engagement"]:
            return web.json_response({"error": "unknown tensor"}, status=400)
        tables = self._tables(np.array(tensor["data"], np.float32).reshape(tensor["shape"]))
        output = {"name": "engagement", "shape": list(tables.shape), "datatype": "FP64"}
        output["data"] = tables.ravel().tolist()
        return await self._answer({"model_name": request.match_info["name"], "outputs": [output]})

    async def predict(self, request: web.Request) -> web.Response:
        """`POST /v1/models/<name>:predict`."""
        body: dict[str, Any] = await request.json()
        tables = self._tables(np.array(body["instances"], np.float32))
        return await self._answer({"predictions": tables.tolist()})

    def _tables(self, features: FloatArray) -> Tables:
        if features.ndim != len(("users", "features")) or features.shape[1] != len(NAMES):
            raise web.HTTPBadRequest(text='{"error": "wrong shape"}')
        self.asked.append(features.shape)
        return self.formula(features)

    async def _answer(self, answer: dict[str, Any]) -> web.Response:
        await self.gate.wait()
        if self.body is not None:
            return web.Response(text=self.body, status=self.status, content_type="application/json")
        return web.json_response(answer, status=self.status)  # NaN as a bare word, as these servers write it


@asynccontextmanager
async def running_model_server() -> AsyncGenerator[ModelServerDouble]:
    """A model server on a free port of this machine."""
    double = ModelServerDouble()
    app = web.Application()
    app.router.add_post("/v2/models/{name}/infer", double.infer)
    app.router.add_post("/v2/models/{name}/versions/{version}/infer", double.infer)
    app.router.add_post("/v1/models/{name}:predict", double.predict)
    app.router.add_post("/v1/models/{name}/versions/{version}:predict", double.predict)
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
