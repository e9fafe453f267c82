"""Models fitted on what the database tells of users: registry, schedule, the routes, and how they begin to serve."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from clarion.adapters.postgres.ml_models import PostgresModels, PostgresTrainings, PostgresWatches
from clarion.adapters.postgres.queries import load_queries
from clarion.bootstrap import Region, Worker
from clarion.entrypoints.cli.ml_switch import SwitchOptions, switch_tenant
from clarion.entrypoints.training import challenge_tenant, refresh_models, train_tenant
from clarion.entrypoints.training_turns import retry_after_ms, take_turn, train_in_turn, turns_of
from clarion.entrypoints.workers.trainer import train_due, train_those_due, watch_drift
from clarion.intelligence.models import DEFAULTS
from clarion.intelligence.models.registered import Metrics
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Conflict
from clarion.kernel.ids import format_id
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.testing.mlflow import running_mlflow
from clarion.testing.waiting import eventually
from tests.integration.api.support import Api, Caller

pytestmark = pytest.mark.asyncio(loop_scope="session")

USERS: Final = 40
DAYS: Final = 28


@pytest_asyncio.fixture(loop_scope="session")
async def night_owls(caller: Caller, worker: Worker) -> Caller:
    """A tenant whose users were there on most nights of a month, as it told through the API."""
    users = [{"user_id": f"owl-{n}", "email": f"o{n}@example.com", "timezone": "UTC"} for n in range(USERS)]
    assert (await caller.call("POST /users/batch", {"users": users})).status == 200
    midnight = worker.clock.now_ms() // DAY_MS * DAY_MS - DAYS * DAY_MS
    events = [
        {
            "user_id": f"owl-{n}",
            "event": "seen",
            "timestamp": datetime.fromtimestamp(
                (midnight + day * DAY_MS + (1 + n % 4) * HOUR_MS) / 1000, UTC
            ).isoformat(),
        }
        for n in range(USERS)
        for day in range(DAYS)
        if (n * 7 + day * 3) % 5
    ]
    for start in range(0, len(events), 1_000):
        answer = await caller.call("POST /events/batch", {"events": events[start : start + 1_000]})
        assert answer.status in {200, 201, 202}, answer.body
    return caller


async def test_a_model_is_fitted_judged_kept_and_serves(worker: Worker, night_owls: Caller):
    outcome = await train_tenant(worker.region, night_owls.tenant_id)
    assert outcome.model is not None, outcome.reason
    assert (outcome.model.name, outcome.model.status) == ("eb-1", "live")
    assert worker.region.models.current(night_owls.tenant_id) is DEFAULTS, "until it is taken up"
    await refresh_models(worker.region)
    serving = worker.region.models.current(night_owls.tenant_id)
    assert serving.name == "eb-1"
    curve = serving.send_time.curves[0]
    assert max(curve[1:5]) > 3 * max(curve[9:18]), "they are there at night"

    listed = (await night_owls.call("GET /ml/models")).json()
    assert listed["serving"] == "eb-1"
    (shown,) = listed["models"]
    assert shown["status"] == "live"
    assert shown["signs"] > 500
    assert (await night_owls.call("GET /ml/models/eb-1")).json() == shown


async def test_an_older_version_can_serve_again(worker: Worker, night_owls: Caller, other: Caller):
    first, second = [await train_tenant(worker.region, night_owls.tenant_id) for _ in range(2)]
    assert first.model is not None
    assert second.model is not None
    assert second.model.parent == first.model.parent, "the first was not taken up yet"
    because = {"reason": "weekends"}
    shown = await night_owls.call("POST /ml/models/eb-1/promote", because)
    assert shown.status == 200, shown.body
    assert (shown.json()["status"], shown.json()["reason"]) == ("live", "weekends")
    listed = (await night_owls.call("GET /ml/models")).json()
    assert {one["name"]: one["status"] for one in listed["models"]} == {"eb-1": "live", "eb-2": "retired"}
    assert (await night_owls.call("POST /ml/models/eb-9/promote", {})).status == 404
    assert (await other.call("POST /ml/models/eb-1/promote", {})).status == 404
    assert (await other.call("GET /ml/models")).json() == {"models": [], "serving": ""}


async def test_what_a_person_chose_stays_until_something_is_surely_better(worker: Worker, night_owls: Caller):
    for _ in range(2):
        await train_tenant(worker.region, night_owls.tenant_id)
    chosen = await night_owls.call("POST /ml/models/eb-1/promote", {"reason": "weekends"})
    assert chosen.status == 200, chosen.body
    await refresh_models(worker.region)
    nightly = await train_tenant(worker.region, night_owls.tenant_id)
    assert nightly.model is not None
    assert nightly.model.status == "refused"
    assert "not surely better than eb-1, which somebody chose" in nightly.reason
    assert (await night_owls.call("GET /ml/models")).json()["serving"] == "eb-1"


async def test_who_asks_is_served_by_the_role_and_by_one_process(worker: Worker, night_owls: Caller):
    schedule, tenant_id = PostgresTrainings(worker.region.pools), night_owls.tenant_id
    asked = await night_owls.call("POST /ml/train")
    assert asked.status == 202, asked.body
    assert asked.json()["requested"] is True
    yesterday_ms = worker.clock.now_ms() - DAY_MS
    assert await schedule.take(tenant_id, yesterday_ms, HOUR_MS) is True
    assert await schedule.take(tenant_id, yesterday_ms, HOUR_MS) is False, "somebody has it"
    assert (await night_owls.call("GET /ml/train")).json()["running"] is True
    await schedule.end(tenant_id, worker.clock.now_ms() + 1_000, "done")
    shown = (await night_owls.call("GET /ml/train")).json()
    assert (shown["requested"], shown["running"], shown["outcome"]) == (False, False, "done")
    assert await schedule.take(tenant_id, yesterday_ms, HOUR_MS) is False, "it was done today"
    assert await schedule.take(tenant_id, worker.clock.now_ms() + 1_000, HOUR_MS) is True, "it is due again"


async def test_a_request_that_comes_during_a_training_is_not_lost(worker: Worker, night_owls: Caller):
    schedule, tenant_id = PostgresTrainings(worker.region.pools), night_owls.tenant_id
    began_ms = worker.clock.now_ms() - 1_000
    yesterday_ms = worker.clock.now_ms() - DAY_MS
    assert await schedule.take(tenant_id, yesterday_ms, HOUR_MS)
    await schedule.ask(tenant_id)
    await schedule.end(tenant_id, began_ms, "done")
    assert await schedule.take(tenant_id, yesterday_ms, HOUR_MS) is True


async def test_who_trains_a_tenant_is_told_to_whom_it_is_not_left(worker: Worker, night_owls: Caller):
    role, shell = turns_of(worker.region, "the trainer role"), turns_of(worker.region, "clarion train")
    tenant_id = night_owls.tenant_id
    await take_turn(role, tenant_id, wait=False)
    with pytest.raises(Conflict, match=r"the trainer role on \S+, process \d+ trains its models now"):
        await take_turn(shell, tenant_id, wait=False)
    assert not await shell.renew(tenant_id, HOUR_MS)
    await shell.end(tenant_id, 0, "it was not the shell's to end")
    assert (await role.show(tenant_id)).running
    waiting = asyncio.create_task(take_turn(shell, tenant_id, wait=True))
    assert (await train_in_turn(worker.region, role, tenant_id)).model is not None
    await waiting
    assert (await role.show(tenant_id)).holder.startswith("clarion train on")


class NoTime(StoreClock):
    """A clock whose instants no store can have."""

    def now_ms(self) -> int:
        """After the end of time."""
        raise OverflowError


def out_of_time(region: Region) -> Region:
    """The region, as one sees it whose clock fails once a training has begun."""
    return msgspec.structs.replace(region, clock=NoTime())


async def test_a_training_that_fails_is_tried_again_later_each_time_and_says_so(
    worker: Worker, night_owls: Caller
):
    role, tenant_id = turns_of(worker.region, "the trainer role"), night_owls.tenant_id
    await train_tenant(worker.region, tenant_id)
    for failures in (1, 2):
        await take_turn(role, tenant_id, wait=False)
        with pytest.raises(OverflowError):
            await train_in_turn(out_of_time(worker.region), role, tenant_id)
        stands = (await night_owls.call("GET /ml/train")).json()
        assert (stands["failures"], stands["outcome"]) == (failures, "failed: OverflowError")
        retry_ms = (await role.show(tenant_id)).retry_ms
        wanted_ms = worker.clock.now_ms() + retry_after_ms(failures - 1)
        assert abs(retry_ms - wanted_ms) < 5_000
    assert await role.due([tenant_id], worker.clock.now_ms()) == [], "not yet"
    await night_owls.call("POST /ml/train")
    assert await role.due([tenant_id], worker.clock.now_ms()) == [tenant_id], "somebody asked"
    await take_turn(role, tenant_id, wait=False)
    await train_in_turn(worker.region, role, tenant_id)
    stands = (await night_owls.call("GET /ml/train")).json()
    assert (stands["failures"], stands["retry_at"]) == (0, None)


async def test_a_training_that_is_over_is_written_down_at_mlflow(worker: Worker, night_owls: Caller):
    schedule, tenant_id = turns_of(worker.region, "the trainer role"), night_owls.tenant_id
    async with running_mlflow() as server:
        settings = worker.settings.model_copy(update={"mlflow_url": server.url})
        await take_turn(schedule, tenant_id, wait=False)
        await train_in_turn(msgspec.structs.replace(worker.region, settings=settings), schedule, tenant_id)
        (run,) = server.runs
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    (shown,) = (await night_owls.call("GET /ml/models")).json()["models"]
    assert (tags["clarion.model"], tags["clarion.sha256"]) == ("eb-1", shown["checksum"])
    assert run["info"]["run_name"] == f"{format_id(tenant_id)}/eb-1"


async def test_a_look_for_drift_that_did_not_end_is_done_again(worker: Worker, caller: Caller):
    watch, mine = PostgresWatches(worker.region.pools), [caller.tenant_id]
    assert await watch.take(caller.tenant_id, DAY_MS, 0), "who dies at once has had it for no time"
    assert await watch.due(mine, DAY_MS) == mine
    assert await watch.take(caller.tenant_id, DAY_MS, HOUR_MS)
    assert await watch.due(mine, DAY_MS) == []
    await watch.end(caller.tenant_id)
    assert await watch.due(mine, DAY_MS) == []
    assert await watch.due(mine, 0) == mine


async def test_models_of_tenants_that_are_gone_are_not_the_oldest(worker: Worker, night_owls: Caller):
    await train_tenant(worker.region, night_owls.tenant_id)
    await refresh_models(worker.region)
    models = worker.region.models
    assert models.oldest_ms([night_owls.tenant_id]) == models.current(night_owls.tenant_id).trained_ms
    assert models.oldest_ms([b"g" * 16]) == models.oldest_ms([]) == 0


async def test_a_tenant_of_whom_nothing_is_known_is_told_so(worker: Worker, other: Caller):
    outcome = await train_tenant(worker.region, other.tenant_id)
    assert outcome.model is None
    assert "too little" in outcome.reason


async def test_trees_are_not_grown_on_nothing(worker: Worker, night_owls: Caller, other: Caller):
    for tenant_id in (night_owls.tenant_id, other.tenant_id):
        found, importances = await challenge_tenant(worker.region, tenant_id)
        assert not found.is_better
        assert "too little" in found.reason
        assert importances == []


async def test_the_role_stops_between_tenants(worker: Worker):
    stop = asyncio.Event()
    stop.set()
    assert await train_due(worker, stop) > 0
    assert await watch_drift(worker, stop) > 0


async def test_a_damaged_artefact_does_not_serve(worker: Worker, night_owls: Caller):
    await train_tenant(worker.region, night_owls.tenant_id)
    await refresh_models(worker.region)
    await train_tenant(worker.region, night_owls.tenant_id)
    async with worker.region.pools.pipeline() as connection:
        await connection.execute(
            "UPDATE ml_models SET artefact = substr(artefact, 1, 100) WHERE tenant_id = $1 AND name = 'eb-2'",
            night_owls.tenant_id,
        )
    (broken,) = [
        one
        for one in await PostgresModels(worker.region.pools).live(worker.region.models.seen())
        if one.tenant_id == night_owls.tenant_id
    ]
    assert broken.name == "eb-2"
    await refresh_models(worker.region)
    assert worker.region.models.current(night_owls.tenant_id).name == "eb-1"
    assert await unseen(worker, night_owls) == [], "what is damaged is told of once"


async def unseen(worker: Worker, caller: Caller) -> list[str]:
    """Names of models that serve the tenant and were not seen yet."""
    found = await PostgresModels(worker.region.pools).live(worker.region.models.seen())
    return [one.name for one in found if one.tenant_id == caller.tenant_id]


async def test_what_serves_is_read_once_and_though_it_was_seen_after_a_later_one(
    worker: Worker, caller: Caller, other: Caller
):
    registry, make_live = PostgresModels(worker.region.pools), load_queries("ml_models")["make_live"]
    model = msgspec.structs.replace(DEFAULTS, trained_ms=worker.clock.now_ms())
    for one in (caller, other):
        await registry.add(one.tenant_id, model, DEFAULTS.name, Metrics())
    async with worker.region.pools.pipeline() as connection, connection.transaction():
        first = (caller.tenant_id, "eb-1", "begins to serve first, and is seen last", False)
        await connection.fetchval(make_live, *first)
        await registry.promote(other.tenant_id, "eb-1", "seen first")
        await refresh_models(worker.region)
        assert worker.region.models.current(other.tenant_id).name == "eb-1"
        assert worker.region.models.current(caller.tenant_id) is DEFAULTS
    await refresh_models(worker.region)
    assert worker.region.models.current(caller.tenant_id).name == "eb-1"
    assert await unseen(worker, caller) == await unseen(worker, other) == []


async def decided(caller: Caller) -> dict[str, Any]:
    """What is decided of a message whose hour is the model's to choose."""
    content = {"data": {"subject": "Hello", "body": "Hello"}, "optimization": {"send_time": "optimal"}}
    sent = await caller.call("POST /notifications", {"user_id": "owl-0", "category": "service", **content})
    assert sent.status == 201, sent.body
    trace = await caller.call(f"GET /notifications/{sent.json()['notification_id']}/trace")
    return trace.json()["decision"]


async def test_one_switch_takes_models_out_of_all_decisions_and_puts_them_back(
    api: Api, worker: Worker, night_owls: Caller
):
    region = api.gateway.region
    await train_tenant(worker.region, night_owls.tenant_id)
    await refresh_models(region)
    mine = {"exploration": 0.5, "enabled": {"channel": False}, "holdout": {"send_time": 0, "channel": 0}}
    assert (await night_owls.call("PUT /ml/settings", mine)).status == 200
    assert (await decided(night_owls))["model"] == "eb-1"
    switch = SwitchOptions(data=Path(), tenant="", off=True, reason="it writes to everybody at night")
    assert (await switch_tenant(region.pools, night_owls.tenant_id, switch)) is True
    assert (await switch_tenant(region.pools, night_owls.tenant_id, switch)) is False, "it is off already"

    async def is_off() -> bool:
        return (await decided(night_owls))["model"] == DEFAULTS.name

    await eventually(is_off, within_s=3)
    found = [await decided(night_owls) for _ in range(20)]
    assert not any(one["ml_fallback"] or one["explored"] for one in found), "chosen, and nothing is tried"
    shown = (await night_owls.call("GET /ml/settings")).json()
    assert (shown["off"], shown["exploration"], shown["enabled"]["channel"]) == (True, 0.5, False)
    (act, *_) = (await night_owls.call("GET /compliance/audit?operation=put_ml_settings")).json()["acts"]
    assert (act["actor"][:9], act["reason"]) == ("operator:", switch.reason)
    assert (await night_owls.call("PUT /ml/settings", {**shown, "off": False})).status == 200
    assert (await decided(night_owls))["model"] == "eb-1"


def gauge(worker: Worker, name: str, **labels: str) -> float:
    """A value as it is scraped."""
    shown = ",".join(f'{key}="{value}"' for key, value in labels.items())
    line = f"{name}{{{shown}}} " if labels else f"{name} "
    (found,) = [one for one in worker.metrics.render().decode().splitlines() if one.startswith(line)]
    return float(found.removeprefix(line))


async def test_what_the_trainer_sees_of_the_worst_tenant_is_scraped(
    worker: Worker, night_owls: Caller, other: Caller
):
    stop = asyncio.Event()
    await train_those_due(worker, [night_owls.tenant_id, other.tenant_id], stop)
    (shown,) = (await night_owls.call("GET /ml/models")).json()["models"]
    if shown["coverage"] is not None:
        assert gauge(worker, "clarion_ml_calibration_error") >= abs(shown["coverage"] - 0.7) - 1e-9
    await watch_drift(worker, stop)
    assert gauge(worker, "clarion_ml_drift_psi", of="hours") >= 0
    learning = worker.metrics.learning
    # Of something that tenants of other tests show nothing of.
    learning.saw_psi(b"worst", "seasons", 4.0)
    learning.saw_psi(b"other", "seasons", 1.0)
    assert gauge(worker, "clarion_ml_drift_psi", of="seasons") == 4
    learning.saw_psi(b"worst", "seasons", 0.5)
    assert gauge(worker, "clarion_ml_drift_psi", of="seasons") == 1
    learning.keep_tenants({b"worst"})
    assert gauge(worker, "clarion_ml_drift_psi", of="seasons") == 0.5
    learning.keep_tenants(())
    assert gauge(worker, "clarion_ml_drift_psi", of="seasons") == 0
