"""The worker process: all roles but the API, or those named: `python -m clarion.entrypoints.workers.main [ROLE…]`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog
import uvloop

from clarion.adapters.embedded import notify_ready
from clarion.adapters.telemetry.logs import configure_logs
from clarion.bootstrap import Worker, open_worker
from clarion.contracts.work import WorkItem, notification_id_of
from clarion.entrypoints.tuning import settle_memory
from clarion.entrypoints.workers.broadcasts import run_broadcasts
from clarion.entrypoints.workers.delivery import run_delivery
from clarion.entrypoints.workers.erasures import run_erasures
from clarion.entrypoints.workers.events import run_events
from clarion.entrypoints.workers.exports import run_exports
from clarion.entrypoints.workers.exposition import serve_metrics
from clarion.entrypoints.workers.features import run_features
from clarion.entrypoints.workers.journeys import run_journeys
from clarion.entrypoints.workers.projector import run_projector
from clarion.entrypoints.workers.retention import run_retention
from clarion.entrypoints.workers.scheduler import run_scheduler
from clarion.entrypoints.workers.segments import run_segments
from clarion.entrypoints.workers.sweeper import run_sweeper
from clarion.entrypoints.workers.tenants import run_tenants
from clarion.entrypoints.workers.trainer import run_trainer
from clarion.kernel.errors import ClarionError
from clarion.settings import Settings, load_settings

Role: TypeAlias = Callable[[Worker, asyncio.Event], Coroutine[Any, Any, None]]

ROLES: Final[dict[str, Role]] = {
    "delivery": run_delivery,
    "scheduler": run_scheduler,
    "sweeper": run_sweeper,
    "projector": run_projector,
    "events": run_events,
    "broadcasts": run_broadcasts,
    "segments": run_segments,
    "journeys": run_journeys,
    "features": run_features,
    "erasures": run_erasures,
    "exports": run_exports,
    "retention": run_retention,
    "tenants": run_tenants,
    "trainer": run_trainer,
}

DRAIN_S: Final = 10.0
"""How long a portion under way may take to end after SIGTERM; what does not end by then, its lease ends.

Less than the 12 s after which `clarion up` would kill us in the middle of it.
"""

CRASH_FILE: Final = "CLARION_CRASH_AT"
"""For the chaos tests: a file. While it names a point of dispatching (`intended`, …), the batch that gets there ends
this process, as `kill -9` does."""

_log = structlog.get_logger("worker")


class CrashOnce:
    """`Watcher` of the chaos tests: the process dies where a file tells it to, once there is something to lose.

    It takes the file away before: its successor, with the same environment, lives. A file that says `poison ID` stays:
    every process dies that takes a delivery of that notification (its id in hexadecimal, without hyphens).
    """

    def __init__(self, order: Path) -> None:
        self._order = order

    def taken(self, items: Sequence[WorkItem]) -> None:
        """Die of the poison."""
        word, _, ident = self._order.read_text().partition(" ") if self._order.exists() else ("", "", "")
        if word == "poison" and any(notification_id_of(i.delivery_id).hex() == ident for i in items):
            os.kill(os.getpid(), signal.SIGKILL)

    def reached(self, point: str, count: int) -> None:
        """Die at the point."""
        if count and self._order.exists() and self._order.read_text() == point:
            self._order.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


class Unwatched:
    """`Watcher` that looks away."""

    def taken(self, items: Sequence[WorkItem]) -> None:
        """Nothing."""

    def reached(self, point: str, count: int) -> None:
        """Nothing."""


async def run_roles(settings: Settings, roles: Sequence[str], stop: asyncio.Event) -> None:
    """Run roles until `stop` is set, then let them finish what is under way, DRAIN_S at most."""
    order = os.environ.get(CRASH_FILE)
    watcher = CrashOnce(Path(order)) if order else Unwatched()
    async with (
        open_worker(settings, watcher, stop.is_set) as worker,
        serve_metrics(worker.metrics, settings),
    ):
        _log.info("worker_ready", roles=list(roles))
        settle_memory()
        notify_ready()
        running = [asyncio.create_task(ROLES[role](worker, stop), name=role) for role in roles]
        await stop.wait()
        done, late = await asyncio.wait(running, timeout=DRAIN_S)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()
    _log.info("worker_stopped", unfinished=len(late))


async def _main(settings: Settings, roles: Sequence[str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_roles(settings, roles, stop)


def main(arguments: Sequence[str] = (), region: str | None = None) -> int:
    """Run the named roles (none: all of them) until SIGTERM; the exit code."""
    roles = list(arguments) or list(ROLES)
    unknown = [role for role in roles if role not in ROLES]
    if unknown:
        sys.stderr.write(f"no role {unknown[0]!r}; there are: {', '.join(ROLES)}\n")
        return 2
    try:
        settings = load_settings(region=region)
        configure_logs("worker", settings.log_level)
        uvloop.run(_main(settings, roles))
    except ClarionError as error:
        sys.stderr.write(f"clarion worker: {error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
