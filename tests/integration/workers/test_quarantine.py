"""What a delivery does to its workers, it does to nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from clarion.adapters.postgres.suspects import PostgresSuspects
from clarion.bootstrap import Worker
from clarion.delivery.quarantine import Quarantine
from clarion.delivery.suspects import MAX_CRASHES, MAX_DELIVERIES, Suspicion
from clarion.kernel.errors import Transient
from tests.integration.api.support import Caller
from tests.integration.workers.support import LEASE_MS, Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(caller: Caller, worker: Worker) -> Bench:
    return Bench(caller, worker)


async def test_neighbours_of_a_poisoned_delivery_are_sent_and_it_is_buried(bench: Bench):
    names = [f"user-{i}" for i in range(20)]
    sent = await bench.send(*names)
    await bench.poison("user-7")

    deaths = [await bench.handle() for _ in range(MAX_DELIVERIES)]

    assert await bench.statuses() == {"sent": 19, "failed": 1}
    assert [handled.dead for handled in deaths] == [{}, {}, {}, {}, {"deliveries": 1}]
    (letter,) = await bench.letters()
    assert letter["notification_id"] == sent["user-7"]
    assert letter["reason"] == "deliveries"
    assert letter["deliveries"] == MAX_DELIVERIES
    assert letter["last_error"].startswith("ValidationError at ")
    assert "rubbish" not in letter["last_error"]
    assert await bench.open_items() == []


async def test_a_dead_letter_is_told_in_its_notifications_trace(bench: Bench):
    sent = await bench.send("ada")
    await bench.poison("ada")
    await bench.kill_with_errors()

    trace = (await bench.caller.call(f"GET /notifications/{sent['ada']}/trace")).json()

    (delivery,) = trace["deliveries"]
    assert delivery["status"] == "failed"
    assert [(entry["outcome"], entry["rule"]) for entry in delivery["attempts"]] == [
        ("dead_letter", "deliveries")
    ]


async def test_what_killed_three_workers_is_buried_and_its_neighbours_are_sent(bench: Bench):
    """The first crash takes all with it; then few go together; then one goes alone: it is that one."""
    await bench.send("killer", "ada", "bob")
    items = await bench.open_items()
    (killer,) = await bench.query(
        "SELECT n.global_id FROM notifications n JOIN user_profiles u USING (user_id) "
        "WHERE u.external_id = 'killer' AND n.tenant_id = $1",
        bench.caller.tenant_id,
    )
    ident = killer["global_id"]
    await bench.worker.quarantine.note_lost(items, claimed=True)  # the first worker had them all
    first, _ = bench.other_process()
    await first.begin_trials(
        [item.delivery_id for item in items], trial_ms=0
    )  # the second died over the group
    second, _ = bench.other_process()
    assert {s.crashes for s in (await second.suspects([i.delivery_id for i in items])).values()} == {2}
    await second.begin_trials([ident], trial_ms=0)  # the third over this one alone

    handled = await bench.handle()

    assert handled.dead == {"crashed_workers": 1}
    assert await bench.statuses() == {"sent": 2, "failed": 1}
    (letter,) = await bench.letters()
    assert (letter["reason"], letter["crashes"]) == ("crashed_workers", MAX_CRASHES)


async def test_a_process_makes_no_last_trial_before_it_has_lived_a_while(bench: Bench):
    """Else whatever keeps killing workers from outside buries those who happen to be alone."""
    await bench.send("ada", "bob")
    (first, second) = await bench.open_items()
    await bench.worker.quarantine.note_lost([first, second], claimed=True)
    await bench.query("UPDATE suspects SET crashes = 2 WHERE global_id = $1", first.delivery_id)
    _, young = bench.other_process(settled_in_s=60.0)

    await bench.handle(young)
    assert await bench.statuses() == {"queued": 1, "sent": 1}
    _, settled = bench.other_process()
    await bench.handle(settled)

    assert await bench.statuses() == {"sent": 2}


async def test_a_death_with_an_attempt_under_way_ends_as_unknown(bench: Bench):
    await bench.send("ada")
    (item,) = await bench.open_items()
    await bench.query(
        "UPDATE open_deliveries SET state = 'sending', lease_epoch = 3, leased_until = now() - interval '1 s' "
        "WHERE global_id = $1",
        item.delivery_id,
    )
    store, _ = bench.other_process()
    await store.note_lost([item.delivery_id], claimed=False)
    await bench.query("UPDATE suspects SET crashes = 3 WHERE global_id = $1", item.delivery_id)

    assert (await bench.handle()).dead == {"crashed_workers": 1}

    assert await bench.statuses() == {"unknown": 1}


async def test_a_trial_of_a_living_process_is_left_to_it(bench: Bench):
    await bench.send("ada")
    (item,) = await bench.open_items()
    store, quarantine = bench.other_process()
    await quarantine.note_lost([item], claimed=True)
    await store.begin_trials([item.delivery_id], trial_ms=60_000)

    await bench.handle()
    assert await bench.statuses() == {"queued": 1}
    await store.end_trials([item.delivery_id])
    await bench.handle()

    assert await bench.statuses() == {"sent": 1}


async def test_who_lives_is_no_suspect_any_more(bench: Bench):
    await bench.send("ada", "bob")
    items = await bench.open_items()
    await bench.worker.quarantine.note_lost(items, claimed=True)

    await bench.handle()

    assert await bench.statuses() == {"sent": 2}
    assert await bench.query("SELECT FROM suspects WHERE tenant_id = $1", bench.caller.tenant_id) == []


async def test_only_what_is_due_and_held_by_nobody_was_lost(bench: Bench):
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    await bench.send("due", "held")
    await bench.send("later", optimization={"send_time": "scheduled", "scheduled_at": in_an_hour.isoformat()})
    items = await bench.open_items()
    await bench.query(
        "UPDATE open_deliveries o SET leased_until = now() + interval '1 minute' FROM notifications n "
        "JOIN user_profiles u USING (user_id) WHERE n.global_id = o.global_id AND u.external_id = 'held' "
        "AND o.tenant_id = $1",
        bench.caller.tenant_id,
    )

    await bench.worker.quarantine.note_lost(items, claimed=True)

    rows = await bench.query(
        "SELECT u.external_id FROM suspects s JOIN notifications n USING (global_id) JOIN user_profiles u "
        "USING (user_id) WHERE s.tenant_id = $1",
        bench.caller.tenant_id,
    )
    assert [row["external_id"] for row in rows] == ["due"]


async def test_without_suspects_nothing_is_asked(bench: Bench):
    await bench.send("ada")
    store, quarantine = bench.other_process()
    await bench.query("DELETE FROM suspects")
    await quarantine.refresh()
    assert quarantine.is_empty
    assert not await store.any_suspects()

    await bench.handle(quarantine)

    assert await bench.statuses() == {"sent": 1}


class Away(PostgresSuspects):
    """A store that is away for as long as the test says."""

    is_away = True

    async def suspects(self, ids: Sequence[bytes]) -> dict[bytes, Suspicion]:
        if self.is_away:
            raise Transient("the store is away, because the test said so")
        return await super().suspects(ids)


async def test_while_its_store_is_away_work_is_offered_again_and_counts_as_nothing(bench: Bench):
    await bench.send("ada")
    away = Away(bench.worker.region.pools)
    quarantine = Quarantine(away, trial_ms=LEASE_MS)

    with pytest.raises(Transient):
        await bench.handle(quarantine)
    away.is_away = False
    await bench.handle(quarantine)

    assert await bench.statuses() == {"sent": 1}
    assert await bench.query("SELECT FROM suspects WHERE tenant_id = $1", bench.caller.tenant_id) == []
