"""What the supervisor is told about a child, and what it tells about it."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

ROLE_MARK = "clarion-role="
"""Every child carries `clarion-role=NAME` in its command line, so that people and chaos tests find it in `ps`."""

Probe = Callable[[], Awaitable[bool]]
"""Answers at once whether the child serves now; it never raises for "not yet"."""

Hook = Callable[[], Awaitable[None]]

Recover = Callable[[str], Awaitable[str | None]]
"""Is given the log of an attempt that ended before it was ready. Answers what was done about it ("" is not used), after
which the child is started again at once, or None if there is nothing to be done."""


@dataclass(frozen=True, slots=True)
class Command:
    """How to execute a program.

    `environment` is complete (nothing is inherited). Standard output and error are appended to `log`, or go to our
    standard error if there is none; standard input is the file `input`, or empty. The kernel sends `parent_death` to
    the program when the process that started it is gone. `user` is the uid and gid to change to, if any.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path | None = None
    input: Path | None = None
    parent_death: signal.Signals = signal.SIGKILL
    user: int | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a child that died is started again: exponential back-off with jitter, for ever.

    The n-th death in a row waits `initial * 2 ** (n - 1)` seconds, at most `cap`, less up to `jitter` of that at
    random. A child that served for `forgiven_after` seconds starts counting anew. Before a child was ready for the
    first time, only `start_attempts` are made.
    """

    initial: float = 0.25
    cap: float = 15.0
    jitter: float = 0.5
    forgiven_after: float = 30.0
    start_attempts: int = 3

    def delay(self, deaths: int, random: Random) -> float:
        """Seconds to wait after the `deaths`-th death in a row (from 1); in `(1 - jitter, 1]` of the full wait."""
        exponent = min(deaths - 1, 30)  # 2 ** 30 is beyond every cap, and a float never overflows
        full = min(self.cap, self.initial * 2.0**exponent)
        return full * (1.0 - self.jitter * random.random())


@dataclass(frozen=True, slots=True)
class StopPlan:
    """How a child is stopped: lower `order` first, equal ones together; SIGKILL after `seconds`."""

    order: int
    sign: signal.Signals = signal.SIGTERM
    seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child of the supervisor.

    * `port`: where it will listen. While another program does, it is not executed (which counts as a death): that
      program might answer the probe in its place.
    * `ready`: polled until true; without one the program itself calls `notify_ready` (it finds where to in its
      environment).
    * `ready_within`: seconds after which a child that is not ready is killed, which counts as a death; None: never, as
      for stores, whose recovery takes as long as it takes.
    * `clean`: run before every start and after a forced stop; removes what a killed predecessor left.
    * `recover`: see `Recover`.
    """

    name: str
    command: Command
    stop: StopPlan
    port: int | None = None
    ready: Probe | None = None
    ready_within: float | None = None
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    clean: Hook | None = None
    recover: Recover | None = None

    def __post_init__(self) -> None:
        """Refuse a child that could not be found by its role."""
        if not any(self.mark in word for word in self.command.argv):
            raise ValueError(f"{self.mark} is missing in the command line of {self.name}")

    @property
    def mark(self) -> str:
        """What identifies this child in its command line."""
        return f"{ROLE_MARK}{self.name}"


class EventKind(StrEnum):
    """What happened to a child."""

    STARTED = "started"
    """It was executed (not ready yet)."""
    READY = "ready"
    """It serves, for the first time."""
    DIED = "died"
    """It ended by itself; `delay` says in how many seconds it is started again."""
    RECOVERED = "recovered"
    """Something was repaired after a failed start; `detail` says what."""
    RESTARTED = "restarted"
    """It serves again after one or more deaths."""
    STOPPED = "stopped"
    """It ended because we stopped it; `detail` is "killed" if it had to be forced."""


@dataclass(frozen=True, slots=True)
class ChildEvent:
    """One event of one child. `exit_code` is negative for a signal; fields that do not apply are None or empty."""

    kind: EventKind
    name: str
    pid: int | None = None
    exit_code: int | None = None
    delay: float | None = None
    detail: str = ""
