"""Our own processes as children: a Python module, its role in the command line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clarion.adapters.embedded.model import ROLE_MARK, ChildSpec, Command, Probe, RestartPolicy, StopPlan

READY_WITHIN = 60.0


@dataclass(frozen=True, slots=True)
class Role:
    """A process role: `python -m module arguments…`.

    `environment` is complete. `order` is its place when stopping (stores are 30 and 40). `port` is where it listens, if
    it does. Without `ready` the process calls `notify_ready` itself. Without `log` its output goes to our standard
    error.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    order: int = 20
    stop_seconds: float = 10.0
    port: int | None = None
    ready: Probe | None = None
    log: Path | None = None


def role_child(role: Role) -> ChildSpec:
    """Describe a role to the supervisor. It is killed at once when we are gone: its stores go with us."""
    return ChildSpec(
        name=role.name,
        command=Command(
            # An -X option means nothing to Python, and any name may be one: the program's own arguments stay clean.
            argv=(sys.executable, "-X", f"{ROLE_MARK}{role.name}", "-m", role.module, *role.arguments),
            environment=role.environment,
            log=role.log,
        ),
        stop=StopPlan(order=role.order, seconds=role.stop_seconds),
        port=role.port,
        ready=role.ready,
        ready_within=READY_WITHIN,
        # What served for ten seconds was not ended by its start: it gets its first, short wait again.
        restart=RestartPolicy(initial=0.25, cap=5.0, forgiven_after=10.0),
    )
