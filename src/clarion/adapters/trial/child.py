"""The process that dies in the worker's place: `python -m clarion.adapters.trial.child`.

Reads requests from stdin and writes reports to stdout until stdin ends. A template that takes more than its share ends
the process (a failed allocation aborts it, SIGXCPU kills it), and its parent draws the conclusion.
"""

from __future__ import annotations

import resource
import sys
from typing import BinaryIO, Final

import msgspec

from clarion.adapters.trial.frames import LENGTH_BYTES, TrialReport, TrialRequest, body_length, to_frame
from clarion.templates import run_trial

MEMORY_BYTES: Final = 512 * 1024 * 1024
"""Address space of the whole process, which starts with 32 MB."""

CPU_SECONDS: Final = 2
"""Processor time of one trial, to the next full second. What fuel allows takes half a second at the worst."""

LANGUAGES_PER_SECOND: Final = 12
"""Languages that share one more second: fifty, the most there are, get four more, and stay below the deadline."""


def serve(requests: BinaryIO, reports: BinaryIO) -> None:
    """Answer requests until there are no more."""
    decoder = msgspec.msgpack.Decoder(TrialRequest)
    while head := requests.read(LENGTH_BYTES):
        request = decoder.decode(requests.read(body_length(head)))
        _grant_cpu_seconds(CPU_SECONDS + len(request.content.locales) // LANGUAGES_PER_SECOND)
        reports.write(to_frame(TrialReport(run_trial(request.content, request.channel))))
        reports.flush()


def _limit_process() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    # An abort here is expected: it is not worth a core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _grant_cpu_seconds(seconds: int) -> None:
    """Move the soft limit, which counts from the start of the process, ahead by one trial's share."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (used + seconds + 1, hard))


if __name__ == "__main__":
    _limit_process()
    serve(sys.stdin.buffer, sys.stdout.buffer)
