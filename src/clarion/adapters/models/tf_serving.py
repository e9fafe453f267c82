"""TensorFlow Serving's REST API, by rows: `{"instances": [[48 numbers], …]}` and `{"predictions": [table, …]}`.

The model's signature `serving_default` takes [B, 48] and gives [B, 3, 2, 24], alone or as the output `engagement`.
"""

from __future__ import annotations

from typing import Any, Final, cast

from clarion.adapters.models.server import ModelServer
from clarion.intelligence.serving.ports import FloatArray
from clarion.intelligence.serving.remote import Tables, tables_of
from clarion.kernel.errors import Permanent

SIGNATURE: Final = "serving_default"
OUTPUT: Final = "engagement"


class TfServingModel:
    """`intelligence.serving.remote.RemoteModel` of TensorFlow Serving."""

    def __init__(self, server: ModelServer, model: str, version: str = "") -> None:
        """`version` "": the newest that the server has loaded."""
        self._server = server
        self._path = f"/v1/models/{model}" + (f"/versions/{version}" if version else "") + ":predict"
        self.name = f"remote:{model}" + (f"@{version}" if version else "")

    async def ask(self, features: FloatArray) -> Tables:
        """The users' tables; see `RemoteModel.ask`."""
        body = {"signature_name": SIGNATURE, "instances": features.tolist()}
        return tables_of(_rows_of(await self._server.post(self._path, body)), len(features))


def _rows_of(answer: Any) -> object:  # noqa: ANN401  JSON
    """Tables in order; with several outputs, the server names them by row. Raises Permanent where there are none."""
    try:
        rows = cast("list[Any]", answer["predictions"])
        return [cast("dict[str, Any]", row)[OUTPUT] if isinstance(row, dict) else row for row in rows]
    except (KeyError, TypeError):
        raise Permanent(f"the model server's answer has no predictions of {OUTPUT!r}") from None
