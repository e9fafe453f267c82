"""The remote model that an operator's setting names."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from clarion.adapters.models.open_inference import OpenInferenceModel
from clarion.adapters.models.server import ModelServer
from clarion.adapters.models.tf_serving import TfServingModel
from clarion.intelligence.serving.remote import RemoteModel
from clarion.kernel.errors import Invalid

_URL: Final = re.compile(
    r"(?P<origin>https?://[^\s?#]+)/(?P<protocol>v1|v2)/models/(?P<model>[^/\s?#:]+)(/versions/(?P<version>[^/\s?#:]+))?"
)
_PROTOCOLS: Final = {"v1": TfServingModel, "v2": OpenInferenceModel}


@asynccontextmanager
async def open_remote_model(url: str) -> AsyncGenerator[RemoteModel]:
    """The model at `…/v1/models/<name>` (TensorFlow Serving) or `…/v2/models/<name>` (Open Inference Protocol).

    `/versions/<version>` may follow. Connects when it is first asked; closed when the block ends. Raises Invalid where
    the URL is no such.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise Invalid(
            "a remote model's URL ends in /v1/models/<name> (TensorFlow Serving) or /v2/models/<name> "
            "(Open Inference Protocol), and /versions/<version> if it is to be pinned",
            "model_url",
        )
    server = ModelServer(found["origin"])
    try:
        yield _PROTOCOLS[found["protocol"]](server, found["model"], found["version"] or "")
    finally:
        await server.close()
