"""Forecasts of a process: ours, or those of the operator's own model upon ours."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from clarion.intelligence.features import FeatureStore
from clarion.intelligence.serving.forecasts import Why
from clarion.intelligence.serving.ports import Forecasts
from clarion.intelligence.serving.remote import RemoteForecasts
from clarion.kernel.clock import Clock


@asynccontextmanager
async def forecasting(
    url: str | None, local: Forecasts, store: FeatureStore, clock: Clock, tell: Callable[[Why], None]
) -> AsyncGenerator[Forecasts]:
    """`local` without a `url`; else the forecasts of the model there upon it, until the block ends.

    Raises Invalid where the URL is none of a model (see `open_remote_model`).
    """
    if url is None:
        yield local
        return
    # Few have a model server, and aiohttp would cost everybody's start 0.3 s.
    from clarion.adapters.models.remote import open_remote_model  # noqa: PLC0415  see above

    async with open_remote_model(url) as model:
        yield RemoteForecasts(local, store, model, clock, tell)
