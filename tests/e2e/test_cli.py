"""The command line, as people and their scripts use it."""

from __future__ import annotations

import asyncio
import re
import signal
import stat
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import slow
from tests.live.fixtures import Live
from tests.live.support import Person, ledger_holds, run_clarion

UP = (sys.executable, "-m", "clarion.entrypoints.cli.main", "up", "--json", "--port", "0", "--data")


@asynccontextmanager
async def started(data: Path) -> AsyncGenerator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """`clarion up --json`, and the line that it said. Not stopped by itself."""
    with data.with_suffix(".log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*UP, data, stdout=asyncio.subprocess.PIPE, stderr=log)
    assert process.stdout is not None
    try:
        yield process, msgspec.json.decode(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def stopped(process: asyncio.subprocess.Process) -> tuple[int, float, bytes]:
    """SIGTERM: the exit code, the seconds that it took, and what was said on stdout meanwhile."""
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, time.monotonic() - began, said


def default_tenant(ready: dict[str, Any], process: asyncio.subprocess.Process) -> Person:
    """The tenant of whom the ready line tells."""
    url, key, tenant_id = ready["regions"]["us-east-1"], ready["api_key"], ready["tenant_id"]
    return default_tenant_of(Instance(url, key, tenant_id, Path(ready["data"]), process.pid, 0.0))


def default_tenant_of(instance: Instance) -> Person:
    """The tenant that every instance has."""
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    return Person(instance, "default", instance.tenant_id, client)


async def test_up_says_one_line_drains_on_sigterm_and_goes_on_where_it_was(tmp_path: Path, sink: SmtpSink):
    data = tmp_path / "data"
    n = 200
    async with started(data) as (process, ready):
        assert set(ready) == {"event", "regions", "tenant_id", "api_key", "console", "data"}
        assert (ready["event"], ready["console"], ready["data"]) == ("ready", None, str(data))
        assert re.fullmatch("ck_live_[0-9A-Za-z]+", ready["api_key"])
        kept = msgspec.json.decode((data / "credentials.json").read_bytes())
        assert (kept["api_key"], kept["tenant_id"]) == (ready["api_key"], ready["tenant_id"])
        assert stat.S_IMODE((data / "credentials.json").stat().st_mode) == 0o600
        person = default_tenant(ready, process)
        await person.mail_through(sink)
        users = await person.users(n)
        await sink.script(slow(300))
        await person.campaign(users)
        await sink.wait_for(20)

        code, seconds, said = await stopped(process)

        assert (code, said) == (0, b"")
        assert seconds < 30
        drained = await sink.report()
        assert 20 <= drained.distinct < n, "what was under way ended, what was not begun waits"

    began = time.monotonic()
    async with started(data) as (process, again):
        seconds = time.monotonic() - began
        assert again == ready | {"regions": again["regions"]}
        report = await sink.wait_for(n, timeout_s=60)
        assert report.duplicates == 0, "a stop in order doubles nothing"
        assert await default_tenant(again, process).all_over(n) == {"sent": n}
        assert await ledger_holds(data)
        assert (await stopped(process))[0] == 0
    assert seconds < 20, "8 s on a machine that does nothing else (bench start)"


async def test_a_second_up_on_the_same_directory_is_refused_in_one_line(live: Live):
    refused = await run_clarion("up", "--data", live.instance.data, "--json", "--port", "0")

    assert (refused.code, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert f"already runs on {live.instance.data} (pid {live.instance.pid})" in line


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("ledger", "verify", "--data", "/nowhere/at/all"), "/nowhere/at/all"),
        (("worker", "juggler"), "juggler"),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_line(words: tuple[str, ...], names: str):
    refused = await run_clarion(*words)

    assert refused.code in {1, 2}
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert names in line


async def test_doctor_finds_nothing_wrong_with_a_healthy_instance(live: Live):
    await live.well()

    seen = await run_clarion("doctor", "--data", live.instance.data)

    assert seen.code == 0, seen.stdout
    for what in ("Python", "disk", "stores", "clock", "queue", "outbox", "ledger"):
        assert what in seen.stdout


async def test_tenants_and_keys_are_made_shown_used_and_ended(live: Live):
    await live.well()
    data = ("--data", live.instance.data)
    made = await run_clarion("tenant", "create", "acme", *data)
    tenant_line, first_key = made.stdout.splitlines()
    second = await run_clarion("key", "create", "deploys", "--tenant", "acme", "--scope", "users:read", *data)
    assert (made.code, second.code) == (0, 0), made.stderr + second.stderr

    assert tenant_line.startswith("tenant acme ")
    assert "acme" in (await run_clarion("tenant", "list", *data)).stdout
    shown = (await run_clarion("key", "list", "--tenant", "acme", *data)).stdout
    assert "deploys" in shown
    assert first_key not in shown
    client = HttpClient(*live.instance.address)

    async def status(key: str, line: str, json: Any = None) -> int:
        answer = await client.request(line, json, headers={"authorization": f"Bearer {key}"})
        return answer.status

    assert await status(first_key, "PUT /api/v1/users/ada", {"email": "ada@example.org"}) == 201
    assert await status(second.stdout.strip(), "GET /api/v1/users/ada") == 200
    assert await status(second.stdout.strip(), "PUT /api/v1/users/ada", {}) == 403
    (key_id,) = re.findall("[0-9a-f-]{36}", next(line for line in shown.splitlines() if "deploys" in line))
    ended = await run_clarion("key", "revoke", key_id, "--tenant", "acme", *data)
    assert ended.code == 0, ended.stderr

    async def refused() -> bool:
        return await status(second.stdout.strip(), "GET /api/v1/users/ada") == 401

    await eventually(refused, within_s=5)


async def test_a_template_is_saved_and_a_notification_sent_from_the_shell(live: Live, tmp_path: Path):
    await live.well()
    data = ("--data", live.instance.data)
    file = tmp_path / "hello.json"
    content = {"email": {"subject": "Hi", "html": "<p>{{ data.word }}</p>", "text": "{{ data.word }}"}}
    await asyncio.to_thread(
        file.write_bytes, msgspec.json.encode({"category": "transactional", "channels": content})
    )
    person = default_tenant_of(live.instance)
    await person.get("PUT /users/shell", {"email": "shell@example.org"})

    saved = await run_clarion("template", "put", "hello", file, *data)
    shown = await run_clarion("template", "show", "hello", *data)
    sent = await run_clarion("send", "shell", "--template", "hello", "-d", "word=hey", *data)

    assert (saved.code, shown.code, sent.code) == (0, 0, 0), saved.stderr + shown.stderr + sent.stderr
    assert "{{ data.word }}" in shown.stdout
    answer = msgspec.json.decode(sent.stdout)
    assert (answer["status"], answer["channels"]) == ("queued", ["email"])
    assert await person.ends(answer["notification_id"]) == "sent"
    tested = await run_clarion("template", "test", "hello", "shell", "-d", "word=hey", *data)
    assert tested.code == 0, tested.stderr
    assert await person.ends(msgspec.json.decode(tested.stdout)["notification_id"]) == "sent"
