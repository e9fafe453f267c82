"""One whole Clarion a test process, shared by the stories of tests/e2e, tests/spec and tests/chaos; a tenant a test.

Each test leaves it as it found it: all processes running, nothing under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import pytest
import pytest_asyncio

from clarion.adapters.embedded import DataDirectory, Ports
from clarion.testing.http import HttpClient
from clarion.testing.instance import Instance, clarion_up
from clarion.testing.smtp import SinkOptions, SmtpSink
from clarion.testing.waiting import eventually
from tests.live.support import Person, fetch, move_in, scrape

LEASE_S: Final = 4.0
"""A lease short enough for tests to wait for its end, and longer than a busy machine keeps a worker waiting."""

KEPT_MESSAGES: Final = 2_000


@dataclass(frozen=True)
class Live:
    """The instance. A batch that gets to the point named in the file `crash` ends the worker, once.

    `clocks` is the file that sets roles' wall clocks wrong (`tests/live/clock`).
    """

    instance: Instance
    crash: Path
    clocks: Path
    metrics_port: int

    async def well(self) -> None:
        """Return when all is up: the stores answer to the API, and the worker shows its metrics."""
        client = HttpClient(*self.instance.address)

        async def is_well() -> bool:
            try:
                await scrape(self.metrics_port)
                answer = await client.request("GET /readyz")
            except (OSError, asyncio.IncompleteReadError):
                return False
            return answer.status == 200 and answer.json()["status"] == "ready"

        await eventually(is_well)

    async def cut_connections(self) -> None:
        """End every session of our processes at Postgres."""
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'clarion-%'"
        )
        await fetch(self.instance, ended)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measures of the faults that were injected, as a table for `docs/explanation/delivery-guarantees.md`."""
    # What a fixture records when it ends is in the report of the teardown, which has no category.
    ends: list[pytest.TestReport] = terminalreporter.getreports("")
    told = (fact for report in ends for fact in report.user_properties)
    rows = [cast("dict[str, object]", value) for name, value in told if name == "fault"]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.line(
            "| Fault | Sent | Lost | Twice | At most | Recovery, s |\n|---|---|---|---|---|---|"
        )
    for row in rows:
        terminalreporter.line(f"| {' | '.join(str(value) for value in row.values())} |")


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Generator[Live]:
    folder = tmp_path_factory.mktemp("live")
    data, crash, clocks = folder / "data", folder / "crash", folder / "clocks"
    metrics_port = Ports(DataDirectory.open(data)).choose("worker-metrics")
    settings = {
        "CLARION_LEASE_S": f"{LEASE_S}",
        "CLARION_SWEEP_EVERY_S": "0.5",
        "CLARION_METRICS_PORT": f"{metrics_port}",
        "CLARION_EGRESS_ALLOW": "127.0.0.0/8",
        "CLARION_CRASH_AT": f"{crash}",
        "CLARION_TEST_CLOCKS": f"{clocks}",
        "PYTHONPATH": f"{Path(__file__).with_name('clock')}",
    }
    with clarion_up(data, settings) as instance:
        yield Live(instance, crash, clocks, metrics_port)


@pytest.fixture(scope="session")
def mail_server() -> Generator[SmtpSink]:
    with SmtpSink.start(SinkOptions(keep=KEPT_MESSAGES)) as sink:
        yield sink


@pytest_asyncio.fixture
async def sink(mail_server: SmtpSink) -> AsyncGenerator[SmtpSink]:
    """An SMTP server that has seen nothing yet, and takes everything."""
    await mail_server.reset()
    yield mail_server
    await mail_server.reset()


@pytest_asyncio.fixture
async def person(live: Live) -> Person:
    """A tenant who sends through the sandbox."""
    await live.well()
    return await move_in(live.instance)


@pytest_asyncio.fixture
async def sender(person: Person, sink: SmtpSink) -> Person:
    """A tenant who sends e-mail through the SMTP server."""
    await person.mail_through(sink)
    return person
