"""`clarion train`, `clarion ml off` and `clarion ml on`, on a running instance."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec
import pytest

from clarion.adapters.postgres.ml_models import PostgresTrainings
from clarion.adapters.postgres.pools import open_pools
from clarion.entrypoints.cli.instance import borrowed_settings
from clarion.entrypoints.cli.ml_switch import SwitchOptions, switch_models
from clarion.entrypoints.cli.train import TrainOptions, run_train
from clarion.kernel.local_time import HOUR_MS
from clarion.keys import role_urls
from clarion.testing.waiting import eventually
from tests.live.support import Person


async def test_a_tenant_that_another_process_trains_is_left_to_it_or_waited_for(
    person: Person, capsys: pytest.CaptureFixture[str]
):
    tenant_id, data = UUID(person.tenant_id).bytes, person.instance.data
    async with borrowed_settings(data) as settings:
        pools = await open_pools(role_urls(settings), size=1, name="clarion-test")
        try:
            schedule = PostgresTrainings(pools, "somebody else")

            async def is_mine() -> bool:
                return await schedule.take(tenant_id, None, HOUR_MS)

            await eventually(is_mine, within_s=20)  # the instance's own trainer may have it for a moment
            assert await asyncio.to_thread(run_train, TrainOptions(data, person.name)) == 1
            assert "somebody else trains its models now; --wait waits" in capsys.readouterr().err
            waiting = TrainOptions(data, person.name, wait=True, json=True)
            training = asyncio.create_task(asyncio.to_thread(run_train, waiting))
            await schedule.end(tenant_id, 0, "done")
            assert await training == 0
        finally:
            await pools.close()
    assert msgspec.json.decode(capsys.readouterr().out)["status"] == "too little"
    assert "too little history" in (await person.get("GET /ml/train"))["outcome"]


async def test_models_are_switched_off_and_on_by_one_command(
    person: Person, capsys: pytest.CaptureFixture[str]
):
    options = SwitchOptions(data=person.instance.data, tenant=person.name, off=True, reason="it harms")
    assert await asyncio.to_thread(switch_models, options) == 0
    assert capsys.readouterr().out == f"{person.name}: models are off\n"
    assert (await person.get("GET /ml/settings"))["off"] is True
    await asyncio.to_thread(switch_models, options)
    assert "were off already" in capsys.readouterr().out
    await asyncio.to_thread(switch_models, msgspec.structs.replace(options, off=False))
    assert (await person.get("GET /ml/settings"))["off"] is False
    written = (await person.get("GET /ml/settings/history"))["settings"]
    assert [past["settings"]["off"] for past in written[:2]] == [True, False]
