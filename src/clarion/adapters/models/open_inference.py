"""Open Inference Protocol, version 2, over REST: KServe, MLServer, Triton, OpenVINO.

One input tensor, `features`, FP32 [B, 48]; one output tensor, `engagement`, [B, 3, 2, 24].
"""

from __future__ import annotations

from typing import Any, Final, cast

from clarion.adapters.models.server import ModelServer
from clarion.intelligence.serving.ports import FloatArray
from clarion.intelligence.serving.remote import Tables, tables_of
from clarion.kernel.errors import Permanent

INPUT: Final = "features"
OUTPUT: Final = "engagement"


class OpenInferenceModel:
    """`intelligence.serving.remote.RemoteModel` of a server that speaks the protocol."""

    def __init__(self, server: ModelServer, model: str, version: str = "") -> None:
        """`version` "": whichever the server takes for the newest."""
        self._server = server
        self._path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "") + "/infer"
        self.name = f"remote:{model}" + (f"@{version}" if version else "")

    async def ask(self, features: FloatArray) -> Tables:
        """The users' tables; see `RemoteModel.ask`."""
        tensor = {
            "name": INPUT,
            "shape": list(features.shape),
            "datatype": "FP32",
            "data": features.ravel().tolist(),
        }
        answer = await self._server.post(self._path, {"inputs": [tensor], "outputs": [{"name": OUTPUT}]})
        return tables_of(_data_of(answer), len(features))


def _data_of(answer: Any) -> object:  # noqa: ANN401  JSON
    """The numbers of the output tensor. Raises Permanent where there is none."""
    try:
        outputs = cast("list[dict[str, Any]]", answer["outputs"])
        return next(output["data"] for output in outputs if output["name"] == OUTPUT)
    except (KeyError, TypeError, StopIteration):
        raise Permanent(f"the model server's answer has no output {OUTPUT!r}") from None
