from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clarion.adapters.embedded.model import Command
from clarion.adapters.embedded.processes import (
    Process,
    ProcessIdentity,
    command_line,
    end_all,
    identify,
    run_tool,
    working_in,
)

ENVIRONMENT = {"PATH": os.environ["PATH"]}
WAIT_FOR_EVER = "import signal; signal.pause()"
STUBBORN = """
import pathlib, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path({deaf!r}).write_text("now")
signal.pause()
"""


def python(code: str, *, log: Path | None = None, standard_input: Path | None = None) -> Command:
    return Command((sys.executable, "-c", code), ENVIRONMENT, log=log, input=standard_input)


def known(process: Process) -> ProcessIdentity:
    identity = process.identity()
    assert identity is not None
    return identity


def test_a_process_is_its_pid_and_its_start_time():
    me = identify(os.getpid())

    assert me is not None
    assert me.pid == os.getpid()
    assert identify(os.getpid()) == me


def test_a_zombie_is_nobody():
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert identify(child.pid) is None


def test_a_process_that_is_gone_has_no_command_line():
    with subprocess.Popen(["/bin/true"]) as child:
        child.wait()

    assert command_line(child.pid) == ""


async def test_a_reused_pid_is_not_signalled():
    process = Process(python(WAIT_FOR_EVER))
    stranger = known(process)
    try:
        await end_all([ProcessIdentity(stranger.pid, stranger.start_ticks - 1)], signal.SIGKILL, 1.0)

        assert process.identity() == stranger
    finally:
        process.kill_group()
        await process.wait()


async def test_who_does_not_end_in_time_is_killed(tmp_path: Path):
    deaf = tmp_path / "deaf"
    os.mkfifo(deaf)
    process = Process(python(STUBBORN.format(deaf=str(deaf))))
    assert await asyncio.to_thread(deaf.read_text) == "now"

    await end_all([known(process)], signal.SIGTERM, 0.05)

    assert await process.wait() == -signal.SIGKILL


def test_processes_are_found_by_where_they_work(tmp_path: Path):
    script = f"import os, signal; os.chdir({str(tmp_path)!r}); print('here', flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        name = Path(f"/proc/{child.pid}/comm").read_text().strip()

        assert [found.pid for found in working_in(tmp_path, name)] == [child.pid]
        assert working_in(tmp_path, "postgres") == []
        assert working_in(tmp_path / "nowhere", name) == []
        child.kill()


async def test_a_program_that_cannot_be_executed_raises(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Process(Command((str(tmp_path / "missing"),), ENVIRONMENT))


async def test_children_are_refused_off_the_main_thread():
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(Process, python("pass"))


async def test_the_tail_of_a_log_begins_with_this_execution(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("of the last time\n")

    code, tail = await run_tool(python("import sys; sys.exit('of this time')", log=log))

    assert (code, tail) == (1, "of this time\n")
    assert log.read_text() == "of the last time\nof this time\n"


async def test_a_tool_reads_its_input_file(tmp_path: Path):
    (tmp_path / "in").write_text("statement")
    command = python(
        "import sys; print(sys.stdin.read())", standard_input=tmp_path / "in", log=tmp_path / "log"
    )

    assert await run_tool(command) == (0, "statement\n")


async def test_a_cancelled_tool_is_killed(tmp_path: Path):
    told = tmp_path / "told"
    os.mkfifo(told)
    code = f"import os, pathlib, signal; pathlib.Path({str(told)!r}).write_text(str(os.getpid())); signal.pause()"
    running = asyncio.create_task(run_tool(python(code)))
    pid = int(await asyncio.to_thread(told.read_text))

    running.cancel()
    await asyncio.wait([running])

    assert identify(pid) is None
