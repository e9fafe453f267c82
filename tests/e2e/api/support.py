"""Starting the API as its supervisor does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field

from clarion.testing.database import MASTER_KEY
from clarion.testing.http import HttpClient
from clarion.testing.stores import SharedStores

COMMAND = (sys.executable, "-W", "error", "-m", "clarion.entrypoints.api.serve", "--port", "0")
WITHIN_S = 30.0


def environment(stores: SharedStores, changes: Mapping[str, str]) -> dict[str, str]:
    """The settings of a role on these stores."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLARION_")}
    return {
        **clean,
        "CLARION_POSTGRES_URL": stores.postgres_url,
        "CLARION_REDIS_URL": stores.valkey_url,
        "CLARION_MASTER_KEY": MASTER_KEY,
        **changes,
    }


@dataclass
class ApiProcess:
    """The process; `log` has what it wrote so far."""

    process: Process
    port: int
    log: list[str] = field(default_factory=list[str])

    @classmethod
    async def start(cls, stores: SharedStores, **changes: str) -> ApiProcess:
        """Start it, and return when it serves."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND, env=environment(stores, changes), stdin=DEVNULL, stderr=PIPE
        )
        started = cls(process, 0)
        async with asyncio.timeout(WITHIN_S):
            while not started.port:
                line = await started.read_line()
                assert line, f"the API ended: {started.log}"
                with contextlib.suppress(ValueError):
                    started.port = json.loads(line).get("port", 0)
        return started

    async def read_line(self) -> str:
        """The next line of its log; "" at the end."""
        assert self.process.stderr is not None
        line = (await self.process.stderr.readline()).decode()
        self.log.append(line)
        return line

    def client(self, key: str) -> HttpClient:
        """A client of it."""
        return HttpClient("127.0.0.1", self.port, {"authorization": f"Bearer {key}"})

    async def wait(self) -> int:
        """Its exit code, when it has ended by itself."""
        async with asyncio.timeout(WITHIN_S):
            while await self.read_line():
                pass
            return await self.process.wait()

    async def end(self) -> None:
        """End it, whatever it does."""
        if self.process.returncode is None:
            self.process.kill()
        await self.wait()
