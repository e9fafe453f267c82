"""What every store of runs promises: the fakes, PostgreSQL, a single Valkey, and a cluster of three."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.contracts.journey_events import JourneyEvent
from clarion.journeys.model import Instance, Moved, Outcome, Progress, Seen, Trail
from clarion.journeys.ports import FORGET, Claim, Continuations, Entered, InstanceStore, NewRun, Planned
from clarion.kernel.ids import make_ids
from clarion.testing.database import prepare_databases
from clarion.testing.journeys import FakeContinuations, FakeInstances
from clarion.testing.stores import shared_stores
from clarion.testing.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEASE_MS = 60_000
ONE_SLOT = bytes(16)
REGION = "us-east-1"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def a_run(**fields: object) -> Instance:
    """A run of somebody in a journey of some tenant, that has not moved yet."""
    run = Instance(
        instance_id=make_ids(1, now_ms()),
        tenant_id=os.urandom(16),
        journey_id=os.urandom(16),
        version=1,
        user_id=7,
        region=REGION,
        is_test=False,
        status="active",
        seq=0,
        step="",
        due_ms=now_ms(),
        progress=Progress(),
        context_version=0,
        entered_ms=now_ms(),
    )
    return replace(run, **fields)


def again(run: Instance) -> Instance:
    """Another run of the same user in the same journey."""
    return replace(run, instance_id=make_ids(1, now_ms()))


def entry(run: Instance, *, key: bytes = b"", slot: bytes = ONE_SLOT, **policy: object) -> NewRun:
    return replace(NewRun(run, key or run.instance_id, slot), **policy)


def moved(run: Instance, **fields: object) -> Moved:
    return Moved(replace(run, seq=run.seq + 1, **fields), changed=True)


# -------------------------------------------------------------------------------------------------------------- runs


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["memory", "postgres"])
async def instances(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[InstanceStore]:
    if request.param == "memory":
        yield FakeInstances()
        return
    base: Path = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        pool = await open_global_pool(
            (await prepare_databases(stores.postgres_url)).global_url, size=8, name="tests"
        )
        yield GlobalInstances(pool, REGION)
        await close_global_pool(pool)


async def test_a_run_begins_once_under_a_key_and_in_a_slot(instances: InstanceStore) -> None:
    first = a_run()
    key = os.urandom(16)
    created = Entered("created", first.instance_id)
    assert await instances.enter([entry(first, key=key)]) == [created]
    assert await instances.enter([entry(again(first), key=key)]) == [Entered("repeat", first.instance_id)]
    assert await instances.enter([entry(again(first))]) == [Entered("existing", first.instance_id)]
    beside = again(first)
    assert await instances.enter([entry(beside, slot=beside.instance_id)]) == [
        Entered("created", beside.instance_id)
    ]
    assert await instances.load([beside.instance_id, os.urandom(16), first.instance_id]) == [
        beside,
        None,
        first,
    ]


async def test_one_batch_may_hold_the_same_entry_twice(instances: InstanceStore) -> None:
    first, key = a_run(), os.urandom(16)
    results = await instances.enter([entry(first, key=key), entry(again(first), key=key), entry(a_run())])
    assert sorted(one.result for one in results) == ["created", "created", "repeat"]
    assert results[0].instance_id == results[1].instance_id


@pytest.mark.parametrize("policy", [{}, {"once": True}, {"not_since_ms": 1}])
async def test_of_many_who_enter_a_user_at_once_one_begins_a_run(
    instances: InstanceStore, policy: dict[str, Any]
) -> None:
    first = a_run()
    runs = [again(first) for _ in range(12)]
    results = [
        one for (one,) in await asyncio.gather(*(instances.enter([entry(run, **policy)]) for run in runs))
    ]
    assert [one.result for one in results].count("created") == 1
    assert {one.instance_id for one in results if one.result != "refused"} == {
        next(one.instance_id for one in results if one.result == "created")
    }


async def test_policies_look_back_at_runs_that_are_over(instances: InstanceStore) -> None:
    first = a_run()
    await instances.enter([entry(first)])
    assert await instances.commit([moved(first, status="completed", ended_ms=now_ms())]) == [True]

    refused = Entered("refused", b"")
    assert await instances.enter([entry(again(first), once=True)]) == [refused]
    assert await instances.enter([entry(again(first), not_since_ms=first.entered_ms - 1)]) == [refused]
    test = replace(again(first), is_test=True)
    assert await instances.enter([entry(test, once=True, slot=test.instance_id)]) == [
        Entered("created", test.instance_id)
    ]
    later = again(first)
    assert await instances.enter([entry(later)]) == [Entered("created", later.instance_id)]


async def test_a_transition_is_written_where_the_run_still_stands(instances: InstanceStore) -> None:
    run, other = a_run(), a_run()
    await instances.enter([entry(run), entry(other)])
    progress = Progress(
        visit=2,
        visits={"hello": 2},
        seen={"paid": Seen(1, 2, 3)},
        known=[b"x" * 16],
        outcomes={"hello": Outcome(1, 5, "done", 1, (5,))},
        trail=[Trail("hello", 1, "asked", 5)],
    )
    told = JourneyEvent(
        os.urandom(16), "step_done", now_ms(), run.tenant_id, run.journey_id, 1, run.instance_id, 7, "hello"
    )
    first = replace(moved(run, step="hello", progress=progress, due_ms=9, context_version=4), events=(told,))
    assert await instances.commit([first, moved(other)]) == [True, True]
    assert await instances.load([run.instance_id]) == [first.instance]

    assert await instances.commit([moved(run, step="elsewhere"), moved(a_run())]) == [False, False]
    assert await instances.load([run.instance_id]) == [first.instance]
    assert await instances.commit([]) == []


async def test_of_two_who_move_the_same_runs_each_wins_whole_transitions(instances: InstanceStore) -> None:
    runs = [a_run() for _ in range(40)]
    await instances.enter([entry(run) for run in runs])
    orders = [runs, runs[::-1], sorted(runs, key=lambda run: run.instance_id[::-1])]
    verdicts = await asyncio.gather(
        *(instances.commit([moved(run, step=f"by {n}") for run in order]) for n, order in enumerate(orders))
    )
    winners = [
        {run.instance_id: n for run, is_won in zip(order, won, strict=True) if is_won}
        for n, (order, won) in enumerate(zip(orders, verdicts, strict=True))
    ]
    assert sum(map(len, winners)) == len(runs)
    for ident, n in (item for one in winners for item in one.items()):
        (found,) = await instances.load([ident])
        assert found is not None
        assert (found.step, found.seq) == (f"by {n}", 1)


async def test_active_runs_are_found_by_user_and_by_region(instances: InstanceStore) -> None:
    region = uuid.uuid4().hex
    runs = [a_run(region=region, user_id=n) for n in range(5)]
    tenant_id = runs[0].tenant_id
    runs = [replace(run, tenant_id=tenant_id) for run in runs]
    await instances.enter([entry(run) for run in runs])
    await instances.commit([moved(runs[0], status="stopped", ended_ms=1, reason="tests")])

    found = await instances.active_of(tenant_id, [0, 1, 3])
    assert {run.user_id for run in found} == {1, 3}
    assert await instances.active_of(os.urandom(16), [1]) == []
    pages: list[tuple[bytes, int, int]] = []
    after = bytes(16)
    while page := await instances.page_active(region, after, 3):
        pages += page
        after = page[-1][0]
    assert pages == sorted((run.instance_id, run.due_ms, 0) for run in runs[1:])


# ----------------------------------------------------------------------------------------------------- continuations


@pytest.fixture
def continuations(clients: ValkeyClients | None) -> Continuations:
    if clients is None:
        return FakeContinuations(now_ms)
    return ValkeyContinuations(clients, uuid.uuid4().hex)


def due(run: Instance, due_ms: int = 0, seq: int = 0) -> Planned:
    return Planned(run.instance_id, due_ms, seq, run)


async def claimed(continuations: Continuations, limit: int = 100, lease_ms: int = LEASE_MS) -> list[bytes]:
    return [claim.instance_id for claim in await continuations.claim(limit, lease_ms)]


async def test_due_runs_are_leased_once_earliest_first_with_their_state(continuations: Continuations) -> None:
    runs = [a_run(step=f"s{n}") for n in range(4)]
    times = [30, 10, now_ms() + LEASE_MS, 20]
    await continuations.schedule([due(run, at) for run, at in zip(runs, times, strict=True)])

    first = await continuations.claim(2, LEASE_MS)
    assert [claim.instance for claim in first] == [runs[1], runs[3]]
    assert await claimed(continuations) == [runs[0].instance_id]
    assert await claimed(continuations) == []


async def test_a_lease_that_ends_gives_the_run_to_the_next(continuations: Continuations) -> None:
    run = a_run()
    await continuations.schedule([due(run)])
    (old,) = await continuations.claim(1, 1)

    async def claim_again() -> list[Claim]:
        return await continuations.claim(1, LEASE_MS)

    (new,) = await eventually(claim_again, bool)
    assert new.instance_id == old.instance_id
    # Who comes back late has no say any more.
    await continuations.settle([(old, due(run))])
    assert await claimed(continuations) == []


async def test_a_settled_run_comes_again_when_it_is_due(continuations: Continuations) -> None:
    soon, late, over = (a_run() for _ in range(3))
    await continuations.schedule([due(run) for run in (soon, late, over)])
    claims = {claim.instance_id: claim for claim in await continuations.claim(3, LEASE_MS)}
    plans = [due(soon, 0, 1), due(late, now_ms() + LEASE_MS, 1), due(over, FORGET, 1)]
    await continuations.settle([(claims[plan.instance_id], plan) for plan in plans])
    assert await claimed(continuations) == [soon.instance_id]


async def test_a_run_may_be_rescheduled_whoever_holds_it(continuations: Continuations) -> None:
    run = a_run()
    await continuations.schedule([due(run)])
    (held,) = await continuations.claim(1, LEASE_MS)
    newer = replace(run, seq=3)
    await continuations.schedule([due(newer, 0, 3)])
    await continuations.settle([(held, due(run, FORGET, 1))])
    (claim,) = await continuations.claim(1, LEASE_MS)
    assert claim.instance == newer
    # An older word is not heard.
    await continuations.schedule([due(run, 0, 2)])
    assert await claimed(continuations) == []


async def test_a_run_whose_state_is_not_known_is_claimed_without_it(continuations: Continuations) -> None:
    run = a_run()
    await continuations.schedule([due(run), Planned(run.instance_id, 0, 0)])
    (claim,) = await continuations.claim(1, LEASE_MS)
    assert (claim.instance_id, claim.instance) == (run.instance_id, None)


async def test_many_claim_at_once_and_none_twice(continuations: Continuations) -> None:
    runs = [a_run() for _ in range(1_200)]
    await continuations.schedule([due(run) for run in runs])
    batches = await asyncio.gather(*(claimed(continuations) for _ in range(12)))
    idents = [ident for batch in batches for ident in batch]
    assert len(idents) == len(set(idents)) == len(runs)


async def test_the_marker_says_that_the_index_is_whole(continuations: Continuations) -> None:
    assert not await continuations.holds_marker()
    await continuations.mark()
    assert await continuations.holds_marker()
