"""C-09, memory pressure.

Read as: nothing that a tenant writes or sends can take the memory that others need: templates that loop or multiply
fail by themselves, an oversized context is refused at the door, and neighbours are delivered by the same worker; and
where the kernel ends a worker all the same (SIGKILL, as the OOM killer does), nothing is lost. The specification's own
text is not in this repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from clarion.testing.smtp import SmtpSink
from tests.chaos.support import slow
from tests.live.fixtures import Live
from tests.live.support import SENDING, Person, count, ledger_holds, move_in

MEGABYTE: Final = 1 << 20
ROOM: Final = 64 * MEGABYTE
"""What the worker may grow by while it meets the bombs: less than any one of them would take."""

BOMBS: Final = {
    "a loop in a loop": "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "a text multiplied": "{{ 'x' * 2000000000 }}",
    "a list multiplied": "{{ ([0] * 2000000000)|length }}",
    "padding": "{{ '%2000000000s'|format('x') }}",
    "growth by doubling": "{% set ns = namespace(t='xxxxxxxx') %}{% for i in range(40) %}"
    "{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}",
    "replacement": "{{ data.long|replace('', data.long) }}",
    "indentation": "{{ data.long|indent(1000000) }}",
}


def memory_of(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
async def test_C09_a_template_that_would_eat_all_memory_fails_alone(live: Live, sender: Person, bomb: str):
    """It is refused when saved; or, where only its data makes it large, its delivery fails and no other."""
    users = await sender.users(10)
    worker = live.instance.pid_of("worker")
    await sender.notify(user_id="user-9")
    before = memory_of(worker)
    content = {"subject": "Hi", "html": bomb, "text": bomb}
    body = {"category": "transactional", "channels": {"email": content}}

    saved = await sender.call("PUT /templates/bomb", body)
    if saved.status < 300:
        data = {"long": "x\n" * 100_000}
        struck = await sender.campaign(users[:3], template="bomb", data=data)
        assert {await sender.ends(ident) for ident in struck} == {"failed"}
    neighbours = await sender.campaign(users[3:])

    assert saved.status in {200, 201, 400}
    assert [await sender.ends(ident) for ident in neighbours] == ["sent"] * 7
    assert live.instance.pid_of("worker") == worker
    assert memory_of(worker) < before + ROOM


async def test_C09_a_context_of_ten_megabytes_is_refused_at_the_door(live: Live, person: Person):
    await person.users(1)
    api = live.instance.pid_of("api")
    before = memory_of(api)
    huge = {"items": ["x" * 1000] * 10_000}

    single = await person.call(
        "POST /notifications", {"user_id": "user-0", "category": "security", "data": huge}
    )
    stored = await person.call("POST /personalization/context", {"user_id": "user-0", "context": huge})
    many = {f"field-{i}": "x" * 1000 for i in range(300)}
    grown = await person.call("POST /personalization/context", {"user_id": "user-0", "context": many})

    assert (single.status, stored.status, grown.status) == (413, 413, 400)
    assert live.instance.pid_of("api") == api
    assert memory_of(api) < before + ROOM
    assert await person.ends((await person.notify())["notification_id"]) == "sent"


async def test_C09_nothing_is_lost_with_a_worker_that_the_kernel_ends(
    live: Live, sender: Person, sink: SmtpSink
):
    """Two tenants; the worker is ended in the middle of both."""
    other = await move_in(live.instance)
    await other.mail_through(sink)
    for one in (sender, other):
        await one.users(60)
    await sink.script(slow(200))
    for one in (sender, other):
        await one.campaign(f"user-{i}" for i in range(60))
    await sink.wait_for(30)

    live.instance.signal("worker")
    in_flight = await count(live.instance, SENDING)

    for one in (sender, other):
        assert await one.all_over(60) == {"sent": 60}
    report = await sink.report()
    assert report.distinct == 120
    assert report.duplicates <= in_flight
    assert await ledger_holds(live.instance.data)
