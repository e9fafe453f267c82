"""The port `TrialRenderer` over a child process that is started when it is needed, and again when it has died."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from typing import Final

import msgspec

from clarion.adapters.trial.frames import LENGTH_BYTES, TrialReport, TrialRequest, body_length, to_frame
from clarion.contracts.channels import Channel
from clarion.kernel.errors import Transient
from clarion.templates import TemplateContent, TrialVerdict

DEADLINE_S: Final = 8.0
"""Real time of one trial, the start of the child (0.3 s) included: four times its processor time."""

_INHERITED: Final = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "PYTHONWARNINGS")
"""What the child sees of the environment: enough to start Python, and none of our secrets."""


class ChildTrialRenderer:
    """One child, one trial at a time. Close it at the end."""

    def __init__(self, deadline_s: float = DEADLINE_S) -> None:
        self._deadline_s = deadline_s
        self._child: Process | None = None
        self._turn = asyncio.Lock()
        self._decoder = msgspec.msgpack.Decoder(TrialReport)

    async def attempt(self, content: TemplateContent, channel: Channel) -> TrialVerdict:
        """See `templates.TrialRenderer`. Raises Transient where the child cannot be started."""
        request = TrialRequest(content, channel)
        async with self._turn:
            was_running = self._child is not None
            verdict = await self._try(request)
            if verdict.kind == "crashed" and was_running:
                # It may have died before, of something else: only a child of its own speaks against a template.
                verdict = await self._try(request)
            return verdict

    async def _try(self, request: TrialRequest) -> TrialVerdict:
        try:
            async with asyncio.timeout(self._deadline_s):
                report = await self._ask(request)
        except TimeoutError:
            await self._kill()
            return TrialVerdict("timed_out")
        except (asyncio.IncompleteReadError, ConnectionError):
            status = await self._kill()
            return TrialVerdict("timed_out" if status == -signal.SIGXCPU else "crashed")
        except BaseException:
            # Cancelled: the child's report would be taken for the next one's.
            await self._kill()
            raise
        return TrialVerdict("finished", report.failure)

    async def close(self) -> None:
        """End the child, if there is one. Idempotent."""
        async with self._turn:
            await self._kill()

    async def _ask(self, request: TrialRequest) -> TrialReport:
        child = self._child = self._child or await self._start()
        if child.stdin is None or child.stdout is None:
            detail = "the trial process has no pipes"
            raise Transient(detail)
        child.stdin.write(to_frame(request))
        await child.stdin.drain()
        head = await child.stdout.readexactly(LENGTH_BYTES)
        return self._decoder.decode(await child.stdout.readexactly(body_length(head)))

    async def _start(self) -> Process:
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "clarion.adapters.trial.child",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env=environment,
            )
        except OSError as error:
            detail = "the trial process cannot be started"
            raise Transient(detail) from error

    async def _kill(self) -> int:
        """End the child; its exit status (negative: the signal that it had died of before)."""
        child, self._child = self._child, None
        if child is None:
            return 0
        if child.stdout is not None and not child.stdout.at_eof():
            child.kill()
        return await child.wait()
