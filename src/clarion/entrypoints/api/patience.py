"""Waits that end. A timer a request would cost as much as reading its body: one look a second at all is enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

ARRIVAL_S: Final = 30.0
"""How long a body may take to arrive: whoever sends it byte by byte does not hold a request for longer."""

SWEEP_EVERY_S: Final = 1.0


class Patience:
    """Ends waits that last for `within_s` seconds, or up to the next `sweep` longer. `monotonic`: a clock's seconds.

    task = patience.begin()
    try:
        await something
    except asyncio.CancelledError:
        patience.explain(task)  # raises TimeoutError where it was we who cancelled
        raise
    finally:
        patience.end(task)
    """

    def __init__(self, monotonic: Callable[[], float], within_s: float = ARRIVAL_S) -> None:
        self.within_s = within_s
        self._monotonic = monotonic
        self._began: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    def begin(self) -> asyncio.Task[Any]:
        """Watch the present task from now on. Raises RuntimeError outside a task."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be watched")
        self._began[task] = self._monotonic()
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """Watch it no more."""
        self._began.pop(task, None)
        self._ended.discard(task)

    def explain(self, task: asyncio.Task[Any]) -> None:
        """Raise TimeoutError where the task was cancelled by `sweep`, and not by others as well."""
        if task in self._ended and task.uncancel() == 0:
            raise TimeoutError

    def sweep(self) -> None:
        """Cancel the tasks whose time is up."""
        due_s = self._monotonic() - self.within_s
        for task, began_s in self._began.items():
            if began_s <= due_s and task not in self._ended:
                self._ended.add(task)
                task.cancel()
