"""Every store that holds something of users can be rid of it: the fake, and each that an erasure goes through."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, Final

import pytest
import pytest_asyncio

from clarion.adapters.postgres.erasure_targets import (
    ACTIVITY,
    DEAD_LETTERS,
    JOURNEYS,
    PROFILE,
    AudienceTarget,
    DeliveryTarget,
    KeyTarget,
    NotificationTarget,
    TableTarget,
)
from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.adapters.valkey.context import ValkeyContexts
from clarion.adapters.valkey.erasure_targets import AllowanceTarget, CardTarget, ContextTarget, FeatureTarget
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.adapters.valkey.queue import ValkeyQueue
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.audience.model import Card
from clarion.compliance.ports import DataSubject, ErasureTarget
from clarion.delivery.ports import CapRequest
from clarion.intelligence.features import empty_records
from clarion.kernel.clock import StoreClock
from clarion.testing.database import prepared_database
from clarion.testing.erasure import ErasureTargetConformance, ErasureWorld, InMemoryWorld
from clarion.testing.stores import SharedStores, shared_stores

pytestmark = pytest.mark.asyncio(loop_scope="session")

PUT_NOTIFICATION: Final = """
    INSERT INTO notifications (global_id, created_at, notification_id, tenant_id, user_id, category, channel, priority,
        status, template, template_version, payload, personalization, metadata, decision, journey_id, traceparent,
        ml_channel_score, attempts, attempt_log)
    SELECT $3, date_trunc('milliseconds', now()), $3, $1, $2, 'transactional', 'email', 5, $4, '', 0,
        '{"body": "word"}', '{}', '{"order": "word"}', '{}', '', '', 0, 0, '[{"error": "word"}]'
"""
PUT_OPEN: Final = """
    INSERT INTO open_deliveries (global_id, created_at, tenant_id, due_at, visible_at, priority, channel)
    SELECT global_id, created_at, tenant_id, now() + interval '1 hour', now() + interval '1 hour', 5, 'email'
    FROM notifications WHERE global_id = $1
"""
PUT_PROFILE: Final = """
    INSERT INTO user_profiles (user_id, tenant_id, external_id, home_region, sealed, fingerprint, reachable)
    VALUES ($2, $1, $3, 'here', 'sealed', '', 1)
    ON CONFLICT DO NOTHING
"""
PUT_EVENT: Final = """
    INSERT INTO user_events (event_id, tenant_id, user_id, event, at) VALUES ($3, $1, $2, 'bought', now())
"""
PUT_LETTER: Final = """
    INSERT INTO dead_letters (global_id, created_at, notification_id, tenant_id, user_id, category, channel, template,
        priority, reason, last_error, crashes, deliveries, attempts, provider, status, lease_epoch, died_at)
    VALUES ($3, now(), $3, $1, $2, 'transactional', 'email', '', 5, 'deliveries', 'word', 0, 5, 0, '', 'failed', 1,
        now())
"""
PUT_FEATURES: Final = """
    INSERT INTO feature_records (user_id, tenant_id, sequence, record, as_of)
    SELECT $2, $1, 1, uuid_send($3), now()
"""
PUT_RUN_CONTEXT: Final = """
    INSERT INTO journey_contexts (instance_id, version, tenant_id, user_id, sealed) VALUES ($3, 1, $1, $2, 'sealed')
"""
PUT_MEMBER: Final = """
    INSERT INTO journey_members (journey_id, segment, user_id, tenant_id) VALUES ($3, 'buyers', $2, $1)
"""
PUT_CHUNK: Final = """
    INSERT INTO broadcast_chunks (tenant_id, broadcast_id, chunk, due_at, size, names, state)
    VALUES ($1, $3, 0, now(), 2, ARRAY[$2, 'another'], 'ready')
"""


class World:
    """A store, and how a test puts something there and counts it."""

    def __init__(
        self,
        target: ErasureTarget,
        put: Callable[[DataSubject], Awaitable[Any]],
        held: Callable[[DataSubject], Awaitable[int]],
    ) -> None:
        self.target = target
        self._put = put
        self._held = held
        self._tenant_id = secrets.token_bytes(16)

    def subject(self) -> DataSubject:
        """A new user."""
        return DataSubject(self._tenant_id, secrets.randbits(60), f"user-{secrets.token_hex(6)}")

    async def put(self, subject: DataSubject) -> None:
        """Something of hers."""
        await self._put(subject)

    async def held(self, subject: DataSubject) -> int:
        """How much there is."""
        return await self._held(subject)


def of_table(pools: Pools, target: ErasureTarget, put: str, table: str, where: str = "true") -> World:
    """A world whose things are the rows of a table that name her by number."""

    async def insert(subject: DataSubject) -> None:
        values: list[object] = [subject.tenant_id, subject.user_id]
        if "$3" in put:
            values.append(subject.external_id if table == "user_profiles" else secrets.token_bytes(16))
        if "$4" in put:
            values.append("sent")
        async with pools.pipeline() as connection:
            await connection.execute(put, *values)

    async def count(subject: DataSubject) -> int:
        query = f"SELECT count(*) FROM {table} WHERE tenant_id = $1 AND user_id = $2 AND {where}"  # noqa: S608  names above
        async with pools.pipeline() as connection:
            return int(await connection.fetchval(query, subject.tenant_id, subject.user_id))

    return World(target, insert, count)


def of_keys(pools: Pools, _: ValkeyClients) -> World:
    async def put(subject: DataSubject) -> None:
        async with pools.keys() as connection:
            await connection.execute(
                "INSERT INTO subject_keys (user_id, wrapped) VALUES ($1, 'key')", subject.user_id
            )

    async def held(subject: DataSubject) -> int:
        query = "SELECT count(*) FROM subject_keys WHERE user_id = $1"
        async with pools.keys() as connection:
            return int(await connection.fetchval(query, subject.user_id))

    return World(KeyTarget(pools), put, held)


def of_deliveries(pools: Pools, clients: ValkeyClients) -> World:
    async def put(subject: DataSubject) -> None:
        ident = secrets.token_bytes(16)
        async with pools.pipeline() as connection:
            await connection.execute(PUT_NOTIFICATION, subject.tenant_id, subject.user_id, ident, "scheduled")
            await connection.execute(PUT_OPEN, ident)

    async def held(subject: DataSubject) -> int:
        query = (
            "SELECT count(*) FROM open_deliveries o JOIN notifications n USING (global_id) "
            "WHERE n.tenant_id = $1 AND n.user_id = $2"
        )
        async with pools.pipeline() as connection:
            return int(await connection.fetchval(query, subject.tenant_id, subject.user_id))

    queue = ValkeyQueue(clients, f"r{secrets.token_hex(4)}")
    return World(DeliveryTarget(pools, queue, StoreClock()), put, held)


def of_audiences(pools: Pools, _: ValkeyClients) -> World:
    async def put(subject: DataSubject) -> None:
        async with pools.pipeline() as connection:
            await connection.execute(
                PUT_CHUNK, subject.tenant_id, subject.external_id, secrets.token_bytes(16)
            )

    async def held(subject: DataSubject) -> int:
        query = "SELECT count(*) FROM broadcast_chunks WHERE tenant_id = $1 AND $2 = ANY (names)"
        async with pools.pipeline() as connection:
            return int(await connection.fetchval(query, subject.tenant_id, subject.external_id))

    return World(AudienceTarget(pools), put, held)


def of_cards(_: Pools, clients: ValkeyClients) -> World:
    # A guard of a moment: in production, what comes later is kept out for ten seconds.
    cards = ValkeyCards(clients, guard_ms=1)

    async def put(subject: DataSubject) -> None:
        card = Card(subject.user_id, 1, subject.external_id, "UTC", "en", "NO", "email", 1)
        await cards.put(subject.tenant_id, [card])

    async def held(subject: DataSubject) -> int:
        (card,) = await cards.read(subject.tenant_id, [subject.external_id])
        return card is not None

    return World(CardTarget(cards), put, held)


def of_contexts(_: Pools, clients: ValkeyClients) -> World:
    contexts = ValkeyContexts(clients)

    async def held(subject: DataSubject) -> int:
        (context,) = await contexts.read([subject.user_id])
        return len(context)

    return World(
        ContextTarget(contexts), lambda subject: contexts.merge(subject.user_id, {"page": "word"}), held
    )


def of_features(_: Pools, clients: ValkeyClients) -> World:
    features = ValkeyFeatures(clients)

    async def put(subject: DataSubject) -> None:
        records = empty_records([subject.user_id])
        records["sequence"] = 1
        await features.write(records)

    async def held(subject: DataSubject) -> int:
        (record,) = await features.read([subject.user_id])
        return int(record["sequence"])

    return World(FeatureTarget(features), put, held)


def of_allowances(_: Pools, clients: ValkeyClients) -> World:
    allowances = ValkeyReservations(clients)

    def request(subject: DataSubject) -> CapRequest:
        return CapRequest(secrets.token_bytes(16), subject.user_id, "marketing:email", 20261123, 9)

    async def held(subject: DataSubject) -> int:
        (used,) = await allowances.used([request(subject)])
        return used

    return World(AllowanceTarget(allowances), lambda subject: allowances.reserve([request(subject)]), held)


WORLDS: Final[dict[str, Callable[[Pools, ValkeyClients], ErasureWorld]]] = {
    "memory": lambda _, __: InMemoryWorld(),
    "keys": of_keys,
    "profile": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.profile", PROFILE), PUT_PROFILE, "user_profiles"
    ),
    "activity": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.activity", ACTIVITY), PUT_EVENT, "user_events"
    ),
    "feature_records": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.activity", ACTIVITY), PUT_FEATURES, "feature_records"
    ),
    "dead_letters": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.dead_letters", DEAD_LETTERS), PUT_LETTER, "dead_letters"
    ),
    "notifications": lambda pools, _: of_table(
        pools,
        NotificationTarget(pools),
        PUT_NOTIFICATION,
        "notifications",
        "notifications::text LIKE '%word%'",
    ),
    "journey_contexts": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.journeys", JOURNEYS), PUT_RUN_CONTEXT, "journey_contexts"
    ),
    "journey_members": lambda pools, _: of_table(
        pools, TableTarget(pools, "postgres.journeys", JOURNEYS), PUT_MEMBER, "journey_members"
    ),
    "deliveries": of_deliveries,
    "broadcasts": of_audiences,
    "cards": of_cards,
    "contexts": of_contexts,
    "features": of_features,
    "allowances": of_allowances,
}


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Generator[SharedStores]:
    base = tmp_path_factory.getbasetemp()
    with shared_stores(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pools(stores: SharedStores) -> AsyncGenerator[Pools]:
    opened = await open_pools(await prepared_database(stores.postgres_url), size=4, name="tests")
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey(stores: SharedStores) -> AsyncGenerator[ValkeyClients]:
    opened = await connect(stores.valkey_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nodes(cluster_url: str) -> AsyncGenerator[ValkeyClients]:
    """A cluster of three."""
    opened = await connect(cluster_url)
    yield opened
    await opened.close()


class TestErasureTargets(ErasureTargetConformance):
    """The suite over each of them."""

    @pytest.fixture(params=sorted(WORLDS))
    def world(self, request: pytest.FixtureRequest, pools: Pools, valkey: ValkeyClients) -> ErasureWorld:
        """A store with nothing of this test in it."""
        return WORLDS[request.param](pools, valkey)


class TestErasureTargetsOnACluster(ErasureTargetConformance):
    """What Valkey holds, where each of its nodes holds a part."""

    @pytest.fixture(params=["allowances", "cards", "contexts", "features"])
    def world(self, request: pytest.FixtureRequest, pools: Pools, nodes: ValkeyClients) -> ErasureWorld:
        """A store with nothing of this test in it."""
        return WORLDS[request.param](pools, nodes)
