"""The parts of journeys, put together for the processes that use them."""

from __future__ import annotations

import asyncpg
import msgspec

from clarion.adapters.globaldb.instances import GlobalInstances
from clarion.adapters.globaldb.journeys import GlobalJourneys
from clarion.adapters.postgres.journey_contexts import PostgresJourneyContexts
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.bootstrap import Region
from clarion.journeys.catalog import CachedJourneys


class JourneyParts(msgspec.Struct, frozen=True):
    """The stores of journeys, as the API and the workers use them."""

    store: GlobalJourneys
    catalog: CachedJourneys
    instances: GlobalInstances
    contexts: PostgresJourneyContexts
    continuations: ValkeyContinuations


def build_journeys(region: Region, global_pool: asyncpg.Pool) -> JourneyParts:
    """The stores of journeys on a region's connections."""
    store = GlobalJourneys(global_pool, region.clock)
    return JourneyParts(
        store=store,
        catalog=CachedJourneys(store, region.clock.monotonic),
        instances=GlobalInstances(global_pool, region.settings.region),
        contexts=PostgresJourneyContexts(region.pools, region.keyring, region.sealer),
        continuations=ValkeyContinuations(region.valkey, region.settings.region),
    )
