"""`ExportSource`: the fake, and every store that holds something of users."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.globaldb.tenants import GlobalTenants
from clarion.adapters.postgres.export_sources import READINGS, TableSource, table_sources
from clarion.adapters.postgres.journey_contexts import PostgresJourneyContexts
from clarion.adapters.postgres.pools import open_pools
from clarion.adapters.valkey.client import ValkeyClients
from clarion.adapters.valkey.context import ValkeyContexts
from clarion.adapters.valkey.export_sources import ContextSource
from clarion.audience.profile import UserProfile
from clarion.compliance.ports import DataSubject
from clarion.journeys.model import Context
from clarion.journeys.ports import ContextKey
from clarion.kernel.ids import make_ids
from clarion.testing.database import prepare_databases
from clarion.testing.exporting import ExportSourceConformance, ExportWorld, InMemoryExportWorld
from clarion.testing.stores import shared_stores
from tests.integration.postgres.support import Tenant, World

pytestmark = pytest.mark.asyncio(loop_scope="session")

_NOTIFY = """
INSERT INTO notifications (
    global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority, status, template,
    template_version, payload, personalization, metadata, decision, journey_id, traceparent, ml_channel_score)
VALUES ($3, $5, $3, $1, $2, 'news', 'email', 5, 'sent', $4, 1, '{}', '{}', '{}', '{}', '', '', 0)
"""
_OPEN = """
INSERT INTO open_deliveries (global_id, created_at, tenant_id, due_at, visible_at, priority, channel, provider)
SELECT global_id, created_at, tenant_id, later, later, 5, channel, $4
FROM notifications CROSS JOIN (SELECT now() + interval '30 days' AS later) AS t
WHERE tenant_id = $1 AND user_id = $2 AND global_id = $3 AND created_at = $5
"""
_EVENT = "INSERT INTO user_events (event_id, tenant_id, user_id, event, at) VALUES ($3, $1, $2, $4, $5)"
_DEAD = """
INSERT INTO dead_letters (
    global_id, created_at, notification_id, tenant_id, user_id, category, channel, template, priority, reason,
    last_error, crashes, deliveries, attempts, provider, status, lease_epoch, died_at)
VALUES ($3, $5, $3, $1, $2, 'news', 'email', '', 5, 'deliveries', $4, 0, 1, 1, '', 'failed', 1, now())
"""
_BROADCAST = """
INSERT INTO broadcasts (
    broadcast_id, tenant_id, environment, name, stage, rehearsal, source, message, timing, rate_per_s, chunk_size,
    created_at, held)
VALUES ($3, $1, 'live', $4, 'sending', $2::bigint IS NULL, '{}', '{}', '{}', 1, 1, $5, true)
"""
_CHUNK = """
INSERT INTO broadcast_chunks (tenant_id, broadcast_id, chunk, due_at, size, names, state)
SELECT $1, $3, 1, $5, 1, ARRAY[external_id], 'ready' FROM user_profiles WHERE user_id = $2 AND $4 <> ''
"""
_EXPORT = """
INSERT INTO exports (export_id, tenant_id, user_id, external_id, state, problem, requested_at)
VALUES ($3, $1, $2, '', 'failed', $4, $5)
"""
PUT = {
    "postgres.activity": (_EVENT,),
    "postgres.notifications": (_NOTIFY,),
    "postgres.deliveries": (_NOTIFY, _OPEN),
    "postgres.dead_letters": (_DEAD,),
    "postgres.broadcasts": (_BROADCAST, _CHUNK),
    "postgres.exports": (_EXPORT,),
}
"""How a word gets into a source's tables; no worker takes the broadcasts, which are held.

$1 tenant, $2 user, $3 a new id, $4 the word, $5 now in ms."""


class TableWorld:
    """A source of the regional database."""

    def __init__(self, tenant: Tenant, source: TableSource) -> None:
        self._tenant = tenant
        self._source = source

    @property
    def source(self) -> TableSource:
        return self._source

    async def subject(self) -> DataSubject:
        name = secrets.token_hex(6)
        return DataSubject(self._tenant.id, await self._tenant.user(name), name)

    async def put(self, subject: DataSubject, words: list[str]) -> None:
        world = self._tenant.world
        if self._source.name == "postgres.profile":
            profile = UserProfile(attributes={"words": words})
            await self._tenant.upsert((subject.external_id, profile))
            return
        if self._source.name == "postgres.journeys":
            key = ContextKey(make_ids(1, await world.pools.now_ms()), 1, subject.tenant_id, subject.user_id)
            contexts = PostgresJourneyContexts(world.pools, world.keyring, world.sealer)
            await contexts.write([(key, Context(data={"words": words}))])
            return
        for word in words:
            now_ms = await world.pools.now_ms()
            values = subject.tenant_id, subject.user_id, make_ids(1, now_ms), word, now_ms
            async with world.pools.pipeline() as connection:
                for statement in PUT[self._source.name]:
                    await connection.execute(statement, *values)


class ContextWorld:
    """The contexts in Valkey."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._contexts = ValkeyContexts(clients)
        self._tenant_id = secrets.token_bytes(16)

    @property
    def source(self) -> ContextSource:
        return ContextSource(self._contexts)

    async def subject(self) -> DataSubject:
        return DataSubject(self._tenant_id, 1 << 48 | secrets.randbits(47), secrets.token_hex(4))

    async def put(self, subject: DataSubject, words: list[str]) -> None:
        await self._contexts.merge(subject.user_id, dict.fromkeys(words, "a word"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def region(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[World]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as stores:
        databases = await prepare_databases(stores.postgres_url)
        pools = await open_pools(databases.urls, size=4, name="tests")
        directory = await open_global_pool(databases.global_url, size=1, name="tests")
        yield World(pools, GlobalTenants(directory))
        await close_global_pool(directory)
        await pools.close()


class TestMemory(ExportSourceConformance):
    """The fake."""

    @pytest.fixture
    def world(self) -> ExportWorld:
        return InMemoryExportWorld()


class TestTables(ExportSourceConformance):
    """The regional database."""

    @pytest_asyncio.fixture(loop_scope="session", params=sorted(READINGS))
    async def world(self, region: World, request: pytest.FixtureRequest) -> ExportWorld:
        sources = table_sources(region.pools, region.keyring, region.sealer)
        (source,) = (one for one in sources if one.name == request.param)
        return TableWorld(await region.tenant(), source)


class TestContexts(ExportSourceConformance):
    """Valkey, one node and a cluster."""

    @pytest.fixture
    def world(self, clients: ValkeyClients | None) -> ExportWorld:
        return InMemoryExportWorld() if clients is None else ContextWorld(clients)
