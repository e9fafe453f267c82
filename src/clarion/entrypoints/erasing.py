"""What erasing users takes of a region: for the workers that do it, and for the command that does it by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from clarion.adapters.globaldb.erasure_ledger import GlobalErasureLedger
from clarion.adapters.globaldb.store import close_global_pool, open_global_pool
from clarion.adapters.postgres.erasure_targets import (
    ACTIVITY,
    DEAD_LETTERS,
    PROFILE,
    AudienceTarget,
    DeliveryTarget,
    KeyTarget,
    NotificationTarget,
    TableTarget,
)
from clarion.adapters.sealing.master_key import MasterKey
from clarion.adapters.sealing.signatures import Ed25519Signer
from clarion.adapters.valkey.erasure_targets import AllowanceTarget, CardTarget, ContextTarget, LogTarget
from clarion.bootstrap import Region, global_url_of, master_key_of
from clarion.compliance.erasure import ErasurePorts
from clarion.compliance.ports import ErasureTarget
from clarion.entrypoints.exporting import exports_of


def erasure_signer(master: MasterKey) -> Ed25519Signer:
    """What signs the certificates of erasures."""
    return Ed25519Signer(master, "erasures")


def erasure_targets(region: Region) -> tuple[ErasureTarget, ...]:
    """All stores, in the order in which they are asked. A further one has its place here once it passes the suite.

    Keys first; then nobody can address her any more; then what waits to be sent, and what was sent.
    """
    pools = region.pools
    return (
        KeyTarget(pools),
        TableTarget(pools, "postgres.profile", PROFILE),
        CardTarget(region.card_cache),
        ContextTarget(region.contexts),
        AudienceTarget(pools),
        DeliveryTarget(pools, region.queue, region.clock),
        TableTarget(pools, "postgres.dead_letters", DEAD_LETTERS),
        NotificationTarget(pools),
        TableTarget(pools, "postgres.activity", ACTIVITY),
        exports_of(region),
    )


@asynccontextmanager
async def open_erasures(region: Region) -> AsyncGenerator[ErasurePorts]:
    """What erasing users of a region needs; closed when the block ends. The ledger connects when it is first asked."""
    settings = region.settings
    ledger = await open_global_pool(global_url_of(settings), size=1, name="clarion-erasures")
    try:
        yield ErasurePorts(
            region=settings.region,
            store=region.erasures,
            ledger=GlobalErasureLedger(ledger, settings.region),
            targets=erasure_targets(region),
            traces=(AllowanceTarget(region.allowances), LogTarget(region.valkey)),
            signer=erasure_signer(master_key_of(settings)),
            clock=region.clock,
        )
    finally:
        await close_global_pool(ledger)
