"""The sink as a program: what it prints, and that it ends with whoever started it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys

import pytest

from clarion.testing.smtp import SmtpSink
from tests.integration.providers.support import MakeRelay, email


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_its_ports_as_json_and_ends_when_told(number: signal.Signals):
    command = [sys.executable, "-m", "clarion.testing.smtp", "--port", "0"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["event"], ready["host"]) == ("ready", "127.0.0.1")
        assert ready["port"] > 0
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stdout.read() == b""


def test_it_ends_with_the_process_that_started_it():
    """The sink inherits stderr, so this pipe's end, for which `run` waits, is the sink's."""
    program = "import os; from clarion.testing.smtp import SmtpSink; SmtpSink.start(); os._exit(9)"
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (9, b"")


async def test_it_counts_by_message_id_and_recipient_and_tells_who_waits(sink: SmtpSink, relay: MakeRelay):
    provider = relay()
    twice = email(to="bob@example.org")
    waiting = asyncio.create_task(sink.wait_for(2))
    await provider.send([email(), twice])
    await provider.send([twice])
    assert (await waiting).distinct == 2
    report = await sink.report(by_recipient=True)
    assert (report.received, report.distinct, report.duplicates) == (3, 2, 1)
    assert report.by_recipient == {"ada@example.org": 1, "bob@example.org": 2}
    await sink.reset()
    assert (await sink.report()).received == 0


async def test_waiting_in_vain_says_what_was_there(sink: SmtpSink):
    with pytest.raises(TimeoutError, match="received=0"):
        await sink.wait_for(1, timeout_s=0.05)
