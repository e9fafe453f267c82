"""What erasing users takes of a region: for the workers that do it, and for the command that does it by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from clarion.adapters.egress import EgressGuard, read_networks
from clarion.adapters.globaldb.erasure_ledger import GlobalErasureLedger
from clarion.adapters.globaldb.journey_privacy import RunTarget
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
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
from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.forgetting import VendorTarget
from clarion.adapters.providers.http.exchange import HttpTransport
from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.http.unconnected import resolve_nothing
from clarion.adapters.providers.registry import build_provider
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.signatures import Ed25519Signer
from clarion.adapters.valkey.erasure_targets import (
    AllowanceTarget,
    CardTarget,
    ContextTarget,
    FeatureTarget,
    LogTarget,
)
from clarion.audience.seals import SealedOf
from clarion.bootstrap import Region
from clarion.compliance.erasure import ErasurePorts
from clarion.compliance.ports import DataSubject, ErasureTarget
from clarion.delivery.model import Receipt
from clarion.entrypoints.exporting import exports_of
from clarion.entrypoints.journeying import build_journeys
from clarion.kernel.errors import Permanent
from clarion.keys import global_urls_of
from clarion.tenancy.config import ProviderConfig


def erasure_signer(master: MasterKey) -> Ed25519Signer:
    """What signs the certificates of erasures."""
    return Ed25519Signer(master, "erasures")


def vendor_target(region: Region, transport: HttpTransport) -> VendorTarget:
    """The lists of the tenant's vendors."""

    async def find_email(subject: DataSubject) -> str:
        row = await region.users.read(subject.tenant_id, subject.external_id) if subject.external_id else None
        if row is None or row.user_id != subject.user_id:
            return ""
        sealed = SealedOf(row.user_id, subject.tenant_id, row.sealed)
        (profile,) = await region.seals.open_profiles([sealed])
        return "" if profile is None else profile.email

    async def find_accounts(tenant_id: bytes) -> Sequence[ProviderConfig]:
        return (await region.configs.get(tenant_id)).providers

    outside = Outside(region.clock, NoReceipts(), transport, resolve_nothing)
    return VendorTarget(
        find_email, find_accounts, lambda account: build_provider(account, outside), transport
    )


class NoReceipts:
    """A sink for accounts that send nothing."""

    async def put(self, receipts: Sequence[Receipt]) -> None:
        """Refuse: nothing that is asked here is reported on."""
        raise Permanent(f"{len(receipts)} receipts for an account that sends nothing")


def erasure_targets(region: Region, global_pool: asyncpg.Pool) -> tuple[ErasureTarget, ...]:
    """All stores, in the order in which they are asked. A further one has its place here once it passes the suite.

    Keys first; then nobody can address her any more, and no journey goes on; then what waits to be sent, and what was
    sent. Before all of them come the vendors, who have to be told her address. `global_pool`: of the global store.
    """
    pools, journeys = region.pools, build_journeys(region, global_pool)
    return (
        KeyTarget(pools),
        TableTarget(pools, "postgres.profile", PROFILE),
        CardTarget(region.card_cache),
        ContextTarget(region.contexts),
        FeatureTarget(region.features),
        RunTarget(global_pool, journeys.instances, journeys.continuations, region.clock),
        TableTarget(pools, "postgres.journeys", JOURNEYS),
        AudienceTarget(pools),
        DeliveryTarget(pools, region.queue, region.clock),
        TableTarget(pools, "postgres.dead_letters", DEAD_LETTERS),
        NotificationTarget(pools),
        TableTarget(pools, "postgres.activity", ACTIVITY),
        exports_of(region),
    )


@asynccontextmanager
async def open_erasures(region: Region) -> AsyncGenerator[ErasurePorts]:
    """What erasing users of a region needs; closed when the block ends. Reaches the global store when it asks it."""
    settings = region.settings
    transport = Transport(EgressGuard(read_networks(settings.egress_allow)).resolve)
    pool = await open_global_pool(*global_urls_of(settings), size=1, name="clarion-erasures")
    try:
        yield ErasurePorts(
            region=settings.region,
            store=region.erasures,
            ledger=GlobalErasureLedger(pool, settings.region),
            targets=(vendor_target(region, transport), *erasure_targets(region, pool)),
            traces=(AllowanceTarget(region.allowances), LogTarget(region.valkey)),
            signer=erasure_signer(region.root),
            clock=region.clock,
        )
    finally:
        await transport.close()
        await close_global_pool(pool)
