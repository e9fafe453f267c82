"""`clarion dlq`, over the stores that the settings name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from clarion.bootstrap import Worker
from clarion.entrypoints.cli.main import app
from clarion.testing.database import MASTER_KEY
from clarion.testing.stores import SharedStores
from tests.integration.api.support import Caller
from tests.integration.workers.support import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

Command = Callable[..., "asyncio.Future[Result]"]


@pytest.fixture
def command(stores: SharedStores) -> Command:
    """Runs `clarion dlq WORDS…` beside the test's own loop."""
    settings = {
        "CLARION_POSTGRES_URL": stores.postgres_url,
        "CLARION_REDIS_URL": stores.valkey_url,
        "CLARION_MASTER_KEY": MASTER_KEY,
    }

    def run(*words: str) -> Any:
        return asyncio.to_thread(CliRunner().invoke, app, ["dlq", *words], env=settings)

    return run


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    """A tenant with two dead letters."""
    made = Bench(caller, worker)
    await made.send("ada", "bob")
    for name in ("ada", "bob"):
        await made.poison(name)
    await made.kill_with_errors()
    return made


async def tenant_of(bench: Bench) -> str:
    config = await bench.worker.region.configs.get(bench.caller.tenant_id)
    return f"tenant={config.tenant.name}"


async def test_letters_are_listed_by_tenant_and_shown(bench: Bench, command: Command):
    where = ("--where", await tenant_of(bench))

    table = await command("list", *where)
    listed = msgspec.json.decode((await command("list", *where, "--json")).stdout)
    one = listed["dead_letters"][0]
    shown = msgspec.json.decode((await command("show", one["delivery_id"])).stdout)

    assert table.exit_code == 0
    assert {letter["user_id"] for letter in listed["dead_letters"]} == {"ada", "bob"}
    assert all(letter["delivery_id"] in table.stdout for letter in listed["dead_letters"])
    assert shown == one
    assert shown["reason"] == "deliveries"


async def test_all_letters_of_a_choice_are_redriven_once(bench: Bench, command: Command):
    where = ("--where", await tenant_of(bench), "--where", "channel=email")

    first = await command("redrive", "all", *where, "--rate", "1000")
    second = await command("redrive", "all", *where)

    assert (first.exit_code, first.stdout.strip()) == (0, "2 redriven")
    assert second.stdout.strip() == "0 redriven"
    assert len(await bench.open_items()) == 2


async def test_named_letters_are_redriven_or_it_says_why_not(bench: Bench, command: Command):
    ada, bob = [letter["delivery_id"] for letter in await bench.letters()]
    await bench.query(
        "UPDATE notifications SET expires_at = now() WHERE tenant_id = $1 AND user_id = ("
        "SELECT user_id FROM user_profiles WHERE external_id = 'bob' AND tenant_id = $1)",
        bench.caller.tenant_id,
    )

    done = await command("redrive", ada, bob)

    assert done.exit_code == 1
    assert "1 redriven" in done.stdout
    assert "is left: expired" in done.stdout


async def test_letters_and_parked_messages_are_dropped(bench: Bench, command: Command):
    origin = f"origin-{os.urandom(4).hex()}"
    (row,) = await bench.query(
        "INSERT INTO parked_messages (source, origin, payload, reason) VALUES ('outbox', $1, 'x', 'y') "
        "RETURNING parked_id",
        origin,
    )
    ada, _ = [letter["delivery_id"] for letter in await bench.letters()]
    number = str(row["parked_id"])

    shown = await command("show", number)
    dropped = await command("drop", ada, number)

    assert msgspec.json.decode(shown.stdout)["origin"] == origin
    assert dropped.stdout.strip() == "2 dropped"
    assert len(await bench.letters()) == 1
    assert (await command("drop", ada)).exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "rubbish"], "neither the id"),
        (["show", "00000000-0000-0000-0000-000000000000"], "there is no dead letter"),
        (["list", "--where", "colour=red"], "NAME=VALUE"),
        (["list", "--where", "tenant=nobody-of-that-name"], "no tenant"),
    ],
)
async def test_a_wrong_word_is_told(command: Command, words: list[str], said: str):
    done = await command(*words)

    assert done.exit_code == 1
    assert said in str(done.exception)


async def test_a_parked_message_that_is_not_there_is_told(command: Command):
    done = await command("redrive", "999999999999")

    assert done.exit_code == 1
    assert "999999999999 is left: there is no such parked message" in done.stdout
