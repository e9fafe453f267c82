"""The composition root: settings become connections, adapters and features, in one place, and are closed here.

Nothing happens on import. Each role opens a `Region` (the stores, and what every role needs of them) and builds on it:
the API a `Gateway`, the worker a `Worker`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import asyncpg
import msgspec

from clarion.adapters.egress import EgressGuard, read_networks
from clarion.adapters.eventlog.streams import StreamsEventLog
from clarion.adapters.globaldb.provider_health import GlobalProviderHealth
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.models.asking import forecasting
from clarion.adapters.models.opening import OpenedTrees
from clarion.adapters.postgres.accept import PostgresAcceptStore
from clarion.adapters.postgres.api_keys import PostgresApiKeys
from clarion.adapters.postgres.broadcast_chunks import PostgresBroadcastChunks
from clarion.adapters.postgres.broadcasts import PostgresBroadcasts, PostgresSnapshots
from clarion.adapters.postgres.consent import PostgresConsentStore
from clarion.adapters.postgres.costs import PostgresCosts
from clarion.adapters.postgres.dead_letters import PostgresDeadLetters
from clarion.adapters.postgres.deliveries import PostgresDeliveryStore
from clarion.adapters.postgres.devices import PostgresDevices
from clarion.adapters.postgres.erasures import PostgresErasures
from clarion.adapters.postgres.fallbacks import PostgresFallbacks
from clarion.adapters.postgres.housekeeping import Housekeeping
from clarion.adapters.postgres.ml_models import following_models
from clarion.adapters.postgres.notifications import PostgresNotifications
from clarion.adapters.postgres.outbox import PostgresOutbox
from clarion.adapters.postgres.parking import PostgresParking
from clarion.adapters.postgres.partials import PostgresPartials
from clarion.adapters.postgres.pools import Pools, open_pools
from clarion.adapters.postgres.population import PostgresPopulation
from clarion.adapters.postgres.receipts import PostgresReceipts
from clarion.adapters.postgres.segments import PostgresSegments, PostgresSegmentSnapshots
from clarion.adapters.postgres.subject_keys import PostgresSubjectKeys
from clarion.adapters.postgres.suspects import PostgresSuspects
from clarion.adapters.postgres.templates import PostgresTemplates
from clarion.adapters.postgres.tenants import PostgresTenants
from clarion.adapters.postgres.token_issuers import PostgresTokenIssuers
from clarion.adapters.postgres.user_events import PostgresUserEvents
from clarion.adapters.postgres.users import PostgresUserStore
from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.pool import Providers
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.sealers import AesSealer
from clarion.adapters.sealing.vault import TenantVault
from clarion.adapters.telemetry.metrics import Metrics
from clarion.adapters.telemetry.traces import Traces
from clarion.adapters.trial import ChildTrialRenderer
from clarion.adapters.valkey.cards import ValkeyCards
from clarion.adapters.valkey.client import ValkeyClients, connect
from clarion.adapters.valkey.context import ValkeyContexts
from clarion.adapters.valkey.features import ValkeyFeatures
from clarion.adapters.valkey.paces import ValkeyPaces
from clarion.adapters.valkey.provider_board import ValkeyProviderBoard
from clarion.adapters.valkey.queue import ValkeyQueue
from clarion.adapters.valkey.rate_limit import ValkeyRateLimiter
from clarion.adapters.valkey.reservations import ValkeyReservations
from clarion.adapters.valkey.spending import ValkeyBlocks, ValkeyBudgets, ValkeyLiveCosts
from clarion.audience.dead_devices import DeviceReaper
from clarion.audience.keyring import Keyring, check_master_key
from clarion.audience.ports import AudienceReader
from clarion.audience.seals import Seals
from clarion.audience.segments import SegmentAudience, SegmentPorts, Sources
from clarion.delivery.circuits import Circuits
from clarion.delivery.compose import ComposePorts, MessageComposer
from clarion.delivery.figures import Figures
from clarion.delivery.gates import Gates
from clarion.delivery.links.maker import LinkMaker
from clarion.delivery.links.tokens import TokenSigner
from clarion.delivery.pacing import Pacing
from clarion.delivery.ports import Watcher
from clarion.delivery.prices import unit_price
from clarion.delivery.quarantine import SETTLED_S, Quarantine
from clarion.delivery.router import Facts, Router
from clarion.delivery.run import DispatchPorts
from clarion.delivery.template_cache import CachedTemplates
from clarion.delivery.till import Till
from clarion.intelligence.serving import Forecasts, LearnedForecasts
from clarion.intelligence.serving.models import CurrentModels
from clarion.kernel.clock import StoreClock
from clarion.kernel.errors import Invalid
from clarion.keys import (
    find_root,
    global_urls_of,
    link_signer,
    master_keys_of,
    role_urls,
    sealer_of,
    vault_of,
)
from clarion.orchestration.accept import AcceptPorts
from clarion.orchestration.cards import CachedCards
from clarion.orchestration.configs import CachedConfigs
from clarion.orchestration.data_check import CachedSchemas
from clarion.orchestration.fall_back import FallbackPorts
from clarion.orchestration.funds import CachedFunds
from clarion.orchestration.owed import PatientSink
from clarion.orchestration.ports import WorkSink
from clarion.orchestration.snapshot import SnapshotPorts
from clarion.settings import Settings
from clarion.templates import Renderer
from clarion.templates.ports import TrialRenderer
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.quotas import LocalBuckets

GLOBAL_CONNECTIONS: Final = 4
"""To the global store, a process: two batches of journeys under way, an entry, and whoever asks for health."""


def public_url_of(settings: Settings) -> str:
    """Where people reach this region, without a slash at the end: as set, or where the API listens."""
    return settings.public_url or f"http://{settings.host}:{settings.port}"


class Region(msgspec.Struct, frozen=True):
    """The stores of one region as one process uses them. `root`: what keys follow from that outlive the master key."""

    settings: Settings
    clock: StoreClock
    metrics: Metrics
    traces: Traces
    pools: Pools
    valkey: ValkeyClients
    queue: ValkeyQueue
    allowances: ValkeyReservations
    contexts: ValkeyContexts
    card_cache: ValkeyCards
    sealer: AesSealer
    vault: TenantVault
    root: MasterKey
    links: TokenSigner
    users: PostgresUserStore
    devices: PostgresDevices
    keyring: Keyring
    seals: Seals
    consents: PostgresConsentStore
    tenants: PostgresTenants
    templates: PostgresTemplates
    partials: PostgresPartials
    keys: PostgresApiKeys
    token_issuers: PostgresTokenIssuers
    configs: CachedConfigs
    cards: CachedCards
    accepts: PostgresAcceptStore
    notifications: PostgresNotifications
    receipts: PostgresReceipts
    letters: PostgresDeadLetters
    fallbacks: PostgresFallbacks
    erasures: PostgresErasures
    broadcasts: PostgresBroadcasts
    segments: SegmentPorts
    events: PostgresUserEvents
    audience: AudienceReader
    costs: PostgresCosts
    budgets: ValkeyBudgets
    live_costs: ValkeyLiveCosts
    blocks: ValkeyBlocks
    features: ValkeyFeatures
    models: CurrentModels
    forecasts: Forecasts

    async def anchor_clock(self) -> None:
        """Set this process's clock by the store's, half a round trip corrected."""
        before = self.clock.monotonic()
        store_ms = await self.pools.now_ms()
        after = self.clock.monotonic()
        self.clock.anchor(store_ms, (before + after) / 2)


class Gateway(msgspec.Struct, frozen=True):
    """What the API uses: the region, the ports of accepting, and the limits on asking."""

    region: Region
    accept: AcceptPorts
    work: PatientSink
    limiter: ValkeyRateLimiter
    local_limiter: LocalBuckets
    trials: TrialRenderer
    renderer: Renderer
    health: GlobalProviderHealth
    global_pool: asyncpg.Pool


class BroadcastEngine(msgspec.Struct, frozen=True):
    """What broadcasts are made with: snapshots of audiences, their chunks, and the ports of accepting them."""

    snapshots: PostgresSnapshots
    snapshot: SnapshotPorts
    chunks: PostgresBroadcastChunks
    accept: AcceptPorts


class Worker(msgspec.Struct, frozen=True):
    """What the worker's roles use."""

    settings: Settings
    region: Region
    clock: StoreClock
    metrics: Metrics
    traces: Traces
    queue: ValkeyQueue
    store: PostgresDeliveryStore
    outbox: PostgresOutbox
    receipts: PostgresReceipts
    housekeeping: Housekeeping
    log: StreamsEventLog
    dispatch: DispatchPorts
    broadcasts: BroadcastEngine
    letters: PostgresDeadLetters
    parking: PostgresParking
    quarantine: Quarantine
    fallbacks: FallbackPorts
    snapshots: PostgresSegmentSnapshots
    limiter: ValkeyRateLimiter
    board: ValkeyProviderBoard
    health: GlobalProviderHealth
    global_pool: asyncpg.Pool


@asynccontextmanager
async def open_region(settings: Settings, role: str) -> AsyncGenerator[Region]:
    """The region's stores, connected and checked; closed when the block ends.

    Raises Invalid on settings that are not complete, Transient where a store does not answer.
    """
    urls = role_urls(settings)
    if settings.redis_url is None:
        raise Invalid("CLARION_REDIS_URL is not set", "redis_url")
    keys = master_keys_of(settings)
    pools = await open_pools(urls, size=settings.pool_size, name=f"clarion-{role}")
    try:
        valkey = await connect(settings.redis_url.get_secret_value())
    except BaseException:
        await pools.close()
        raise
    traces = Traces(role, settings.otlp_endpoint)
    try:
        root = await find_root(pools, keys)
        region = _build_region(settings, root, pools, valkey, traces)
        await check_master_key(PostgresSubjectKeys(pools), region.sealer)
        await region.anchor_clock()
        local, tell = region.forecasts, region.metrics.learning.fell_back
        async with forecasting(settings.model_url, local, region.features, region.clock, tell) as asked:
            yield msgspec.structs.replace(region, forecasts=asked)
    finally:
        traces.close()
        await valkey.close()
        await pools.close()


def _build_region(
    settings: Settings, root: MasterKey, pools: Pools, valkey: ValkeyClients, traces: Traces
) -> Region:
    clock = StoreClock()
    sealer, vault = sealer_of(master_keys_of(settings), root), vault_of(settings, pools, clock.monotonic)
    users = PostgresUserStore(pools, region=settings.region, region_number=settings.region_number)
    keyring = Keyring(PostgresSubjectKeys(pools), sealer, clock.monotonic)
    tenants = PostgresTenants(pools, vault)
    card_cache = ValkeyCards(valkey)
    seals, contexts = Seals(keyring, sealer, users), ValkeyContexts(valkey)
    sources = Sources(PostgresPopulation(pools), seals, contexts)
    segments = SegmentPorts(PostgresSegments(pools), sources, sealer, clock)
    metrics, features = Metrics(), ValkeyFeatures(valkey)
    models = CurrentModels(clock, metrics.learning.refused_artefact)
    return Region(
        settings=settings,
        clock=clock,
        metrics=metrics,
        traces=traces,
        pools=pools,
        valkey=valkey,
        queue=ValkeyQueue(valkey, settings.region),
        allowances=ValkeyReservations(valkey),
        contexts=contexts,
        card_cache=card_cache,
        sealer=sealer,
        vault=vault,
        root=root,
        links=link_signer(settings, root),
        users=users,
        devices=PostgresDevices(pools),
        keyring=keyring,
        seals=seals,
        consents=PostgresConsentStore(pools),
        tenants=tenants,
        templates=PostgresTemplates(pools),
        partials=PostgresPartials(pools),
        keys=PostgresApiKeys(pools),
        token_issuers=PostgresTokenIssuers(pools, vault),
        configs=CachedConfigs(tenants, clock.monotonic),
        cards=CachedCards(card_cache, users),
        accepts=PostgresAcceptStore(pools),
        notifications=PostgresNotifications(pools),
        receipts=PostgresReceipts(pools),
        broadcasts=PostgresBroadcasts(pools),
        letters=PostgresDeadLetters(pools),
        fallbacks=PostgresFallbacks(pools),
        erasures=PostgresErasures(pools),
        segments=segments,
        events=PostgresUserEvents(pools),
        audience=SegmentAudience(segments),
        costs=PostgresCosts(pools),
        budgets=ValkeyBudgets(valkey),
        live_costs=ValkeyLiveCosts(valkey),
        blocks=ValkeyBlocks(valkey),
        features=features,
        models=models,
        forecasts=_forecasts(metrics, features, models, clock),
    )


def _forecasts(
    metrics: Metrics, features: ValkeyFeatures, models: CurrentModels, clock: StoreClock
) -> LearnedForecasts:
    trees = OpenedTrees(metrics.learning.refused_trees)
    return LearnedForecasts(features, models, clock, metrics.learning.fell_back, trees)


def _accept_ports(region: Region, queue: WorkSink) -> AcceptPorts:
    return AcceptPorts(
        store=region.accepts,
        cards=region.cards,
        configs=region.configs,
        queue=queue,
        allowances=region.allowances,
        forecasts=region.forecasts,
        clock=region.clock,
        schemas=CachedSchemas(region.templates),
        funds=CachedFunds(region.budgets, region.costs, region.clock.monotonic),
    )


def _broadcast_engine(region: Region) -> BroadcastEngine:
    snapshots = PostgresSnapshots(region.pools)
    return BroadcastEngine(
        snapshots=snapshots,
        snapshot=SnapshotPorts(store=snapshots, roll=snapshots, segments=region.audience),
        chunks=PostgresBroadcastChunks(region.pools),
        accept=_accept_ports(region, region.queue),
    )


def _fallback_ports(region: Region) -> FallbackPorts:
    return FallbackPorts(
        store=region.fallbacks,
        queue=region.queue,
        cards=region.cards,
        configs=region.configs,
        allowances=region.allowances,
        forecasts=region.forecasts,
        clock=region.clock,
    )


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncGenerator[Gateway]:
    """The API's side of a region; closed when the block ends. Raises as `open_region`."""
    async with (
        open_region(settings, "api") as region,
        _open_global(settings, "api") as global_pool,
        following_models(region.pools, region.models),
    ):
        work = PatientSink(region.queue)
        accept = _accept_ports(region, work)
        trials = ChildTrialRenderer()
        try:
            yield Gateway(
                region=region,
                accept=accept,
                work=work,
                limiter=ValkeyRateLimiter(region.valkey),
                local_limiter=LocalBuckets(),
                trials=trials,
                renderer=Renderer(),
                health=GlobalProviderHealth(global_pool),
                global_pool=global_pool,
            )
        finally:
            await trials.close()


@asynccontextmanager
async def _open_global(settings: Settings, role: str) -> AsyncGenerator[asyncpg.Pool]:
    """Connections to the global store, made when they are first needed."""
    pool = await open_global_pool(*global_urls_of(settings), size=GLOBAL_CONNECTIONS, name=f"clarion-{role}")
    try:
        yield pool
    finally:
        await close_global_pool(pool)


def _router(region: str, providers: Providers, pacing: Pacing) -> Router:
    def services_of(account: ProviderConfig) -> frozenset[str]:
        return providers.get(account).capabilities.services

    return Router(region, Figures(), Circuits(), unit_price, Facts(services_of, pacing.full_until))


def _dispatch_ports(
    region: Region, providers: Providers, watcher: Watcher, stopping: Callable[[], bool]
) -> DispatchPorts:
    settings = region.settings
    composer = MessageComposer(
        ComposePorts(
            profiles=region.seals,
            contexts=region.contexts,
            templates=CachedTemplates(region.templates),
            renderer=Renderer(),
            links=LinkMaker(region.links, public_url_of(settings)),
            clock=region.clock,
        )
    )
    pacing = Pacing(ValkeyPaces(region.valkey))
    router = _router(settings.region, providers, pacing)
    return DispatchPorts(
        store=PostgresDeliveryStore(region.pools),
        queue=region.queue,
        consents=region.consents,
        allowances=region.allowances,
        composer=composer,
        policies=region.configs,
        providers=providers,
        circuits=router.circuits,
        router=router,
        gates=Gates(),
        clock=region.clock,
        random=random.random,
        pause=asyncio.sleep,
        watcher=watcher,
        stopping=stopping,
        lease_ms=int(settings.lease_s * 1000),
        dead_devices=DeviceReaper(region.devices, region.sealer, region.card_cache),
        till=Till(region.budgets, region.costs),
        pacing=pacing,
    )


@asynccontextmanager
async def open_worker(
    settings: Settings, watcher: Watcher, stopping: Callable[[], bool]
) -> AsyncGenerator[Worker]:
    """The worker's side of a region; closed when the block ends. Raises as `open_region`.

    `stopping`: whether what can wait should be left to others.
    """
    async with (
        open_region(settings, "worker") as region,
        _open_global(settings, "worker") as global_pool,
        following_models(region.pools, region.models),
    ):
        guard = EgressGuard(read_networks(settings.egress_allow))
        transport = Transport(guard.resolve)
        providers = Providers(region.receipts, region.clock, transport, guard.resolve)
        dispatch = _dispatch_ports(region, providers, watcher, stopping)
        try:
            yield Worker(
                settings=settings,
                region=region,
                clock=region.clock,
                metrics=region.metrics,
                traces=region.traces,
                queue=region.queue,
                store=PostgresDeliveryStore(region.pools),
                outbox=PostgresOutbox(region.pools),
                receipts=region.receipts,
                housekeeping=Housekeeping(region.pools),
                log=StreamsEventLog(region.valkey),
                dispatch=dispatch,
                broadcasts=_broadcast_engine(region),
                letters=region.letters,
                parking=PostgresParking(region.pools),
                quarantine=Quarantine(
                    PostgresSuspects(region.pools),
                    trial_ms=dispatch.lease_ms,
                    settled_s=region.clock.monotonic() + SETTLED_S,
                ),
                fallbacks=_fallback_ports(region),
                snapshots=PostgresSegmentSnapshots(region.pools),
                limiter=ValkeyRateLimiter(region.valkey),
                board=ValkeyProviderBoard(region.valkey),
                health=GlobalProviderHealth(global_pool),
                global_pool=global_pool,
            )
        finally:
            await providers.close()
            await transport.close()
