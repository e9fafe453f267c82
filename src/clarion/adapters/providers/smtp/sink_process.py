"""Starting a sink, and talking to it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from clarion.adapters.providers.smtp.sink_model import (
    Ask,
    AskMessages,
    AskReport,
    AskReset,
    AskScript,
    AskWait,
    Fault,
    SinkMessage,
    SinkOptions,
    SinkReady,
    SinkReport,
)

_STOP_TIMEOUT_S: Final = 5.0
_LINE_LIMIT: Final = 256 * 1024 * 1024
_AnswerT = TypeVar("_AnswerT")


class SmtpSink:
    """A sink in its own process, which ends when this one does. A context manager; belongs to no event loop."""

    def __init__(self, process: subprocess.Popen[bytes], ready: SinkReady, options: SinkOptions) -> None:
        self._process = process
        self._ready = ready
        self._options = options
        self.host = ready.host
        self.port = ready.port

    @classmethod
    def start(cls, options: SinkOptions | None = None) -> SmtpSink:
        """Start a sink and return when it listens (half a second). Raises RuntimeError where it does not come up."""
        options = options or SinkOptions()
        arguments = {
            "--port": options.port,
            "--tls": options.tls,
            "--username": options.username,
            "--password": options.password,
            "--keep": options.keep,
        }
        command = [f"{name}={value}" for name, value in arguments.items()]
        process = subprocess.Popen(
            [sys.executable, "-m", "clarion.adapters.providers.smtp.sink", "--until-stdin-closes", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101  it was asked to be a pipe
        line = process.stdout.readline()
        if not line:
            process.wait()
            msg = f"the sink ended with status {process.returncode} before it listened"
            raise RuntimeError(msg)
        return cls(process, msgspec.json.decode(line, type=SinkReady), options)

    def provider_settings(self, sender: str) -> dict[str, Any]:
        """The `settings` of a provider of kind `smtp` that sends to this sink."""
        settings: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "tls": self._options.tls,
            "from": sender,
        }
        return settings | ({"ca": self._ready.ca} if self._ready.ca else {})

    async def report(self, *, by_recipient: bool = False) -> SinkReport:
        """What has arrived so far."""
        return await self._ask(AskReport(by_recipient), SinkReport)

    async def wait_for(self, distinct: int = 0, *, sessions: int = 0, timeout_s: float = 10.0) -> SinkReport:
        """What has arrived, once so many distinct messages have, in so many sessions. Raises TimeoutError."""
        report = await self._ask(AskWait(distinct, sessions, timeout_s), SinkReport)
        if report.distinct < distinct or report.sessions < sessions:
            msg = f"{distinct} messages in {sessions} sessions were awaited for {timeout_s} s: {report}"
            raise TimeoutError(msg)
        return report

    async def script(self, *faults: Fault) -> None:
        """Replace the faults that happen from now on; none: everything works again."""
        await self._ask(AskScript(list(faults)), SinkReport)

    async def messages(self) -> list[SinkMessage]:
        """The latest messages, oldest first."""
        return await self._ask(AskMessages(), list[SinkMessage])

    async def reset(self) -> None:
        """Forget messages and faults."""
        await self._ask(AskReset(), SinkReport)

    def stop(self) -> None:
        """End the process. Idempotent."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _ask(self, ask: Ask, answer: type[_AnswerT]) -> _AnswerT:
        reader, writer = await asyncio.open_connection(self.host, self._ready.control_port, limit=_LINE_LIMIT)
        try:
            writer.write(msgspec.json.encode(ask) + b"\n")
            return msgspec.json.decode(await reader.readline(), type=answer)
        finally:
            writer.close()
            await writer.wait_closed()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.stop()
