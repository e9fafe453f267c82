"""Supervision of small Python programs: what holds for every child, whatever it is."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from clarion.adapters.embedded import (
    ChildSpec,
    Claim,
    Command,
    DataDirectory,
    EventKind,
    Ports,
    RestartPolicy,
    StartFailed,
    StopPlan,
    Supervisor,
    http_probe,
)
from clarion.adapters.embedded.processes import command_line, identify
from clarion.testing.supervision import EventLog
from tests.integration.embedded.support import gone

READY = "import os, signal; os.write(int(os.environ['CLARION_READY_FD']), b'ready')\n"  # quicker than notify_ready
SERVING = READY + "signal.pause()"
NEVER_AGAIN = RestartPolicy(initial=3600.0, cap=3600.0)
QUICK = RestartPolicy(initial=0.001, cap=0.008)

HTTP_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    asked = []
    def do_GET(self):
        self.asked.append(self.path)
        open({asked!r}, "w").write(" ".join(self.asked))
        self.send_response(200 if len(self.asked) > 2 else 503)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""


def child(name: str, code: str = SERVING, order: int = 10) -> ChildSpec:
    argv = (sys.executable, "-X", f"clarion-role={name}", "-c", code)
    return ChildSpec(name, Command(argv, {}), StopPlan(order, seconds=5.0), restart=QUICK)


@pytest.fixture
def log() -> EventLog:
    return EventLog()


@pytest.fixture
async def supervisor(tmp_path: Path, log: EventLog) -> AsyncGenerator[Supervisor]:
    async with Claim(DataDirectory.open(tmp_path / "data")) as claim, Supervisor(claim, log) as supervisor:
        yield supervisor


async def test_start_returns_when_every_child_serves(supervisor: Supervisor, log: EventLog):
    await supervisor.start(child("api"), child("worker"))

    assert {event.name for event in log.of(EventKind.READY)} == {"api", "worker"}
    assert "clarion-role=api" in command_line(supervisor.pid("api") or 0)


async def test_a_program_tells_by_itself_that_it_serves(supervisor: Supervisor):
    twice = "from clarion.adapters.embedded import notify_ready as tell; tell(); tell(); import signal; signal.pause()"

    await supervisor.start(child("worker", twice))

    assert supervisor.pid("worker")


async def test_a_killed_child_comes_back(supervisor: Supervisor, log: EventLog):
    await supervisor.start(child("worker"))
    first = supervisor.pid("worker")
    assert first is not None

    os.kill(first, signal.SIGKILL)

    died = await log.next("worker", EventKind.DIED)
    assert (died.pid, died.exit_code) == (first, -signal.SIGKILL)
    back = await log.next("worker", EventKind.RESTARTED)
    assert back.pid == supervisor.pid("worker") != first


async def test_a_child_that_keeps_dying_is_started_again_with_growing_waits(
    supervisor: Supervisor, log: EventLog
):
    await supervisor.start(replace(child("worker", READY), restart=replace(QUICK, jitter=0.0)))

    waits = [(await log.next("worker", EventKind.DIED)).delay for _ in range(5)]

    assert waits == [0.001, 0.002, 0.004, 0.008, 0.008]


async def test_a_child_that_served_long_enough_is_forgiven(supervisor: Supervisor, log: EventLog):
    forgiving = replace(QUICK, jitter=0.0, forgiven_after=0.0)
    await supervisor.start(replace(child("worker"), restart=forgiving))
    waits: list[float | None] = []
    for _ in range(3):
        os.kill(supervisor.pid("worker") or 0, signal.SIGKILL)
        waits.append((await log.next("worker", EventKind.DIED)).delay)
        await log.next("worker", EventKind.RESTARTED)

    assert waits == [0.001] * 3


async def test_a_child_that_never_serves_fails_the_start_with_its_last_words(
    supervisor: Supervisor, log: EventLog, tmp_path: Path
):
    spec = child("api", "raise SystemExit('Error: CLARION_POSTGRES_URL is wrong')")
    spec = replace(spec, command=replace(spec.command, log=tmp_path / "api.log"))

    with pytest.raises(StartFailed, match="api ended with code 1 before it was ready: Error: CLARION_POSTG"):
        await supervisor.start(spec)

    assert len(log.of(EventKind.STARTED)) == spec.restart.start_attempts


async def test_a_child_that_cannot_be_executed_fails_the_start(supervisor: Supervisor):
    missing = Command(("clarion-role=api",), {})

    with pytest.raises(StartFailed, match=r"api could not be executed: .*No such file"):
        await supervisor.start(ChildSpec("api", missing, StopPlan(10), restart=QUICK))


async def test_a_child_that_hangs_before_it_serves_is_killed(supervisor: Supervisor):
    hanging = replace(child("api", "import signal; signal.pause()"), ready_within=0.05)

    with pytest.raises(StartFailed) as failed:
        await supervisor.start(hanging)

    assert failed.value.exit_code == -signal.SIGKILL


async def test_a_child_that_closes_its_line_without_a_word_is_not_ready(supervisor: Supervisor):
    mute = "import os; os.close(int(os.environ['CLARION_READY_FD'])); raise SystemExit(3)"

    with pytest.raises(StartFailed, match="ended with code 3"):
        await supervisor.start(child("api", mute))


async def test_a_child_whose_port_belongs_to_another_program_is_not_executed(
    supervisor: Supervisor, log: EventLog
):
    """That program could answer the probe in its place."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port: int = other.getsockname()[1]
        with pytest.raises(
            StartFailed, match=f"api could not be executed: Error: port {port} is used by another"
        ):
            await supervisor.start(replace(child("api"), port=port))

    assert log.of(EventKind.STARTED) == []
    await supervisor.start(replace(child("api"), port=port))


async def test_a_child_may_be_asked_over_http_whether_it_serves(
    supervisor: Supervisor, log: EventLog, tmp_path: Path
):
    port = Ports(supervisor.claim.directory).choose("api")
    asked = tmp_path / "asked"
    spec = child("api", HTTP_SERVER.format(port=port, asked=str(asked)))

    await supervisor.start(replace(spec, port=port, ready=http_probe(port)))

    assert [event.name for event in log.of(EventKind.READY)] == ["api"]
    assert asked.read_text().split() == ["/readyz"] * 3  # two were answered with 503


async def test_after_a_failed_start_the_name_is_free_and_others_go_on(supervisor: Supervisor, log: EventLog):
    with pytest.raises(StartFailed):
        await supervisor.start(child("api", "raise SystemExit(1)"), child("worker"))
    await log.next("worker", EventKind.READY)

    await supervisor.start(child("api"))

    assert supervisor.pid("worker")
    assert supervisor.pid("api")


async def test_a_name_is_supervised_once(supervisor: Supervisor):
    await supervisor.start(child("api"))

    with pytest.raises(ValueError, match="api is supervised already"):
        await supervisor.start(child("api"))


async def test_children_are_stopped_in_order(supervisor: Supervisor, log: EventLog):
    orders = {"postgres": 40, "api": 10, "valkey": 30, "worker": 20}
    await supervisor.start(*(child(name, order=order) for name, order in orders.items()))

    await supervisor.stop()

    stopped = log.of(EventKind.STOPPED)
    assert [event.name for event in stopped] == ["api", "worker", "valkey", "postgres"]
    assert {event.exit_code for event in stopped} == {-signal.SIGTERM}
    assert not any(identify(event.pid or 0) for event in stopped)


async def test_who_does_not_stop_is_killed_within_the_time_for_all(supervisor: Supervisor, log: EventLog):
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SERVING
    await supervisor.start(child("api", deaf, order=10), child("worker", deaf, order=20), child("valkey"))
    began = asyncio.get_running_loop().time()

    await supervisor.stop(within=0.2)

    assert asyncio.get_running_loop().time() - began < 3.0  # 0.2 s and the machine's own slowness
    killed = {event.name: event.detail for event in log.of(EventKind.STOPPED)}
    assert killed == {"api": "killed", "worker": "killed", "valkey": ""}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_what_a_child_had_started_goes_with_it(
    supervisor: Supervisor, tmp_path: Path, sign: signal.Signals
):
    told = tmp_path / "told"
    os.mkfifo(told)
    code = f"""
import pathlib, subprocess, sys
grandchild = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
pathlib.Path({str(told)!r}).write_text(str(grandchild.pid))
{SERVING}"""
    starting = asyncio.create_task(supervisor.start(replace(child("worker", code), restart=NEVER_AGAIN)))
    grandchild = identify(int(await asyncio.to_thread(told.read_text)))
    await starting
    assert grandchild is not None

    os.kill(supervisor.pid("worker") or 0, sign)

    await gone(grandchild)


async def test_stopping_while_a_child_waits_for_its_restart(supervisor: Supervisor, log: EventLog):
    await supervisor.start(replace(child("worker"), restart=NEVER_AGAIN))
    os.kill(supervisor.pid("worker") or 0, signal.SIGKILL)
    await log.next("worker", EventKind.DIED)

    await supervisor.stop()

    assert log.of(EventKind.STOPPED) == []


async def test_a_listener_that_fails_is_no_silent_end_of_supervision(tmp_path: Path):
    def failing(event: object) -> None:
        if EventKind.DIED in str(event):
            raise OSError("the log is full")

    async with (
        Claim(DataDirectory.open(tmp_path / "data")) as claim,
        Supervisor(claim, failing) as supervisor,
    ):
        await supervisor.start(child("worker"))
        os.kill(supervisor.pid("worker") or 0, signal.SIGKILL)

        with pytest.raises(OSError, match="the log is full"):
            async with asyncio.timeout(20):
                await supervisor.crashed()
