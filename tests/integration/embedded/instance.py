"""A small `clarion up`: stores and two roles on a directory. Tells what happens as lines of JSON on standard output.

python instance.py DIRECTORY [--uvloop] [--no-roles]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import uvloop

from clarion.adapters.embedded import (
    AlreadyRunning,
    ChildEvent,
    ChildSpec,
    Claim,
    Command,
    DataDirectory,
    DirectoryUnusable,
    StopPlan,
    StoreOptions,
    Supervisor,
    start_stores,
    supervise,
)

SERVING = "import os, signal; os.write(int(os.environ['CLARION_READY_FD']), b'ready'); signal.pause()"


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def tell_event(event: ChildEvent) -> None:
    tell(event=event.kind, name=event.name, pid=event.pid, exit_code=event.exit_code)


def role(name: str, order: int) -> ChildSpec:
    argv = (sys.executable, "-X", f"clarion-role={name}", "-c", SERVING)
    return ChildSpec(name, Command(argv, {}), StopPlan(order))


async def start(supervisor: Supervisor) -> None:
    urls = await start_stores(supervisor, StoreOptions())
    if "--no-roles" not in sys.argv:
        await supervisor.start(role("api", 10), role("worker", 20))
    tell(event="serving", name="all", pid=os.getpid(), postgres=urls.postgres, valkey=urls.valkey)


async def main() -> None:
    directory = DataDirectory.open(Path(sys.argv[1]))
    async with Claim(directory) as claim:
        await supervise(Supervisor(claim, tell_event), start)


if __name__ == "__main__":
    run = uvloop.run if "--uvloop" in sys.argv else asyncio.run
    try:
        run(main())
    except (AlreadyRunning, DirectoryUnusable) as error:
        tell(event="refused", name="all", detail=error.detail)
        sys.exit(1)
