"""Instances as processes of their own, and the little that is asked of their stores."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg

from clarion.adapters.embedded.processes import ProcessIdentity, identify, pinned, readable

PROGRAM = Path(__file__).with_name("instance.py")
COMMAND = (sys.executable, "-W", "error", str(PROGRAM))


@dataclass
class Instance:
    """A running `instance.py`. What it told is in `told`; `next` waits for more."""

    process: asyncio.subprocess.Process
    told: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    @classmethod
    async def start(cls, *words: str | Path) -> Self:
        """Start it by this command line and return at once."""
        return cls(await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE))

    async def next(self, event: str, name: str = "", within: float = 60.0) -> dict[str, Any]:
        """Read until this event, of this child if one is named; fails if the instance ends before."""
        assert self.process.stdout is not None
        async with asyncio.timeout(within):
            while line := await self.process.stdout.readline():
                said: dict[str, Any] = json.loads(line)
                self.told.append(said)
                if said["event"] == event and name in {"", said["name"]}:
                    return said
        raise AssertionError(f"it ended without {name} {event}: {self.told}")

    def child(self, name: str) -> ProcessIdentity:
        """The child that was started last under this name."""
        pids = [said["pid"] for said in self.told if said["event"] == "started" and said["name"] == name]
        identity = identify(pids[-1])
        assert identity is not None, f"{name} does not run"
        return identity

    async def end(self, sign: signal.Signals = signal.SIGTERM) -> int:
        """Signal it, read what it still says, and give its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(sign)
        return await self.wait()

    async def wait(self, within: float = 40.0) -> int:
        """Read what it still says until it ends, and give its exit code."""
        async with asyncio.timeout(within):
            out, _ = await self.process.communicate()
        self.told += [json.loads(line) for line in out.splitlines()]
        assert self.process.returncode is not None
        return self.process.returncode


async def gone(process: ProcessIdentity, within: float = 20.0) -> None:
    """Return when this process has ended. Raises TimeoutError."""
    with pinned(process) as pidfd:
        if pidfd is not None:
            async with asyncio.timeout(within):
                await readable(pidfd)


async def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    """The rows of one statement, on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def ask_valkey(url: str, *words: str) -> str | list[str]:
    """The answer to one command (`+OK`, `:1`, a string, a list of strings), on a connection of its own."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)

    async def line() -> str:
        return (await reader.readline()).decode().strip()

    async def value() -> str:
        head = await line()
        return await line() if head.startswith("$") and head != "$-1" else head

    try:
        writer.write(f"AUTH {parts.password}\r\n{' '.join(words)}\r\n".encode())
        if (login := await line()) != "+OK":
            raise ConnectionRefusedError(login)
        answer = await value()
        return [await value() for _ in range(int(answer[1:]))] if answer.startswith("*") else answer
    finally:
        writer.close()
        await writer.wait_closed()


Launch = Callable[..., Awaitable[Instance]]
