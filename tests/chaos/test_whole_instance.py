"""What befalls an instance as a whole: `kill -9` of `clarion up` itself, and a disk without room."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

import pytest

from clarion.testing.http import HttpAnswer, HttpClient
from clarion.testing.instance import Instance, clarion_up, family_of
from clarion.testing.smtp import SmtpSink
from clarion.testing.waiting import eventually
from tests.chaos.support import IN_FLIGHT, Measuring, slow
from tests.live.fixtures import LEASE_S
from tests.live.support import Person, ledger_holds, notification

N: Final = 200
LEASE: Final = {"CLARION_LEASE_S": f"{LEASE_S}", "CLARION_SWEEP_EVERY_S": "0.5"}
NAMESPACE: Final = ("unshare", "--user", "--map-root-user", "--mount")
DISK_MB: Final = 220

pytestmark = pytest.mark.chaos


def owner(instance: Instance) -> Person:
    """The instance's default tenant."""
    client = HttpClient(*instance.address, {"authorization": f"Bearer {instance.api_key}"})
    return Person(instance, "default", instance.tenant_id, client)


async def test_up_killed_in_mid_campaign_and_started_again(
    tmp_path: Path, sink: SmtpSink, measure: Measuring
):
    """The kernel takes all of its processes along; the next start finishes what was promised."""
    data = tmp_path / "data"
    with clarion_up(data, LEASE) as first:
        person = owner(first)
        await person.mail_through(sink)
        users = await person.users(N)
        await sink.script(slow(100))
        await person.campaign(users)
        await sink.wait_for(N // 4)
        measured = measure("`clarion up` killed, and started again", N, IN_FLIGHT)
        family = family_of(first.pid)
        os.kill(first.pid, signal.SIGKILL)

    with clarion_up(data, LEASE) as second:
        await sink.wait_for(N, timeout_s=60)
        measured.recovered()
        assert second.api_key == first.api_key
        assert not set(family) & set(family_of(second.pid)), "nothing of the first one is left"
        assert await owner(second).all_over(N) == {"sent": N}
        assert await ledger_holds(data)
    measured.settle(await sink.report())


def may_mount() -> bool:
    if not shutil.which(NAMESPACE[0]):
        return False
    return not subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode


@pytest.mark.skipif(not may_mount(), reason="user namespaces are forbidden here")
async def test_a_full_disk_promises_nothing_and_loses_nothing(
    tmp_path: Path, sink: SmtpSink, measure: Measuring
):
    """Postgres has no room for its log: 503 and no 201. When there is room again, all goes on."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={DISK_MB}m tmpfs {folder}; exec "$@"'
    with clarion_up(folder / "data", LEASE, (*NAMESPACE, "sh", "-ec", mount, "sh")) as instance:
        inside = Path(f"/proc/{instance.pid}/root{folder}")
        person = owner(instance)
        await person.mail_through(sink)
        await person.users(2)
        assert await person.ends((await person.notify())["notification_id"]) == "sent"
        measured = measure("disk full", 0)
        ballast = inside / "ballast"
        await asyncio.to_thread(fill, ballast)

        promised, refused = await post_until_refused(person)
        assert refused.status == 503
        assert int(refused.headers["retry-after"]) >= 1
        ballast.unlink()

        async def accepted() -> HttpAnswer | None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                return await person.call("POST /notifications", notification(user_id="user-1"))
            return None

        await eventually(accepted, lambda answer: answer is not None and answer.status == 201)
        measured.n = promised + 2
        await sink.wait_for(measured.n, timeout_s=60)
        measured.recovered()
        assert await person.all_over(measured.n) == {"sent": measured.n}
    measured.settle(await sink.report())


def fill(ballast: Path) -> None:
    """Take all the room that is left."""
    with ballast.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
            file.flush()


async def post_until_refused(person: Person) -> tuple[int, HttpAnswer]:
    """Large notifications, until one is refused: how many were promised before, and the refusal."""
    promised = 0
    large = {"subject": "Hello", "body": "x" * 200_000}

    async def refusal() -> HttpAnswer | None:
        nonlocal promised
        try:
            answer = await person.call("POST /notifications", notification(data=large))
        except (OSError, asyncio.IncompleteReadError):
            return None
        promised += answer.status == 201
        return None if answer.status == 201 else answer

    answer = await eventually(refusal, every_s=0.0)
    assert answer is not None
    return promised, answer
