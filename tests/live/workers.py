"""Further workers on the stores of a running instance."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from clarion.adapters.embedded import DataDirectory, Ports
from tests.live.fixtures import Live


@asynccontextmanager
async def second_worker(live: Live, folder: Path) -> AsyncGenerator[None]:
    """Another worker on the same stores, as another machine would have it."""
    port = Ports(DataDirectory.open(folder)).choose("metrics")
    environment = live.instance.environment_of("worker") | {"CLARION_METRICS_PORT": f"{port}"}
    environment.pop("CLARION_READY_FD", None)
    command = (sys.executable, "-m", "clarion.entrypoints.workers.main")
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()
