"""C-02, the model is away.

Read as: a model that cannot be had, or talks nonsense, stops and delays nothing: the message is accepted, decided by
priors in the user's own time zone, and its decision says `ml_fallback`. The specification's own text is not in this
repository.
"""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pytest
import pytest_asyncio

from clarion.bootstrap import Gateway
from clarion.intelligence.models import ChannelParameters, SendTimeParameters, TenantModel
from clarion.intelligence.serving import LearnedForecasts, ModelSource
from clarion.testing.stores import SharedStores, shared_stores
from tests.integration.api.support import Api, Caller, running_api

OPTIMAL: Final = {"send_time": "optimal", "channel_selection": "optimal"}


class Gone:
    """No model can be had."""

    def current(self, tenant_id: bytes) -> TenantModel:
        raise LookupError(tenant_id)

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        raise LookupError(tenant_id, now_ms)


class Says:
    """Every tenant's model is this one."""

    def __init__(self, model: TenantModel) -> None:
        self._model = model

    def current(self, tenant_id: bytes) -> TenantModel:
        del tenant_id
        return self._model

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        del tenant_id, now_ms
        return False


FAULTS: Final[dict[str, ModelSource]] = {
    "it cannot be had": Gone(),
    "its rates are no numbers": Says(TenantModel(channel=ChannelParameters(rates=(math.nan,) * 3))),
    "its curve has no end": Says(
        TenantModel(send_time=SendTimeParameters(curves=((math.inf,) * 24, (1.0,) * 24)))
    ),
    "it lacks half of itself": Says(TenantModel(send_time=SendTimeParameters(mix=()))),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Generator[SharedStores]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as started:
        yield started


@pytest_asyncio.fixture(params=FAULTS.values(), ids=FAULTS.keys())
async def api(request: pytest.FixtureRequest, stores: SharedStores) -> AsyncGenerator[Api]:
    """The API, whose models have a fault."""

    def alter(gateway: Gateway) -> Gateway:
        region = gateway.region
        forecasts = LearnedForecasts(
            region.features, request.param, region.clock, region.metrics.learning.fell_back
        )
        return msgspec.structs.replace(
            gateway, accept=msgspec.structs.replace(gateway.accept, forecasts=forecasts)
        )

    async with running_api(stores.postgres_url, stores.valkey_url, alter=alter) as started:
        yield started


async def send_optimally(caller: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
    """The answer to a message for whose hour and channel a model is asked, and the decision in its trace."""
    phone = {"phone": "+442079460123", "preferred_channel": "sms"}
    await caller.user(**phone)
    answer = await caller.notify(category="service", optimization=OPTIMAL)
    trace = await caller.call(f"GET /notifications/{answer['notification_id']}/trace")
    return answer, trace.json()["decision"]


async def test_C02_a_message_goes_its_way_by_the_prior_and_says_so(api: Api):
    caller = await api.tenant()
    answer, decision = await send_optimally(caller)
    assert answer["status"] in {"queued", "ml_scheduled"}
    assert decision["ml_fallback"] is True
    assert decision["model"] == "prior-1"
    # The channel that she named, at an hour at which people are up where she lives.
    assert answer["channels"] == ["sms"]
    at = datetime.fromisoformat(answer["ml_predictions"]["optimal_send_time"])
    assert 8 <= at.astimezone(ZoneInfo("Europe/London")).hour < 22
