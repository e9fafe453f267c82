"""What runs of journeys ask of the outside, put together for a worker; and the lane that brings late answers home."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from clarion.adapters.egress import EgressGuard, read_networks
from clarion.adapters.postgres.journey_effects import (
    PostgresKnownUsers,
    PostgresMessages,
)
from clarion.adapters.providers.http.pool import PoolLimits
from clarion.adapters.providers.http.transport import Transport
from clarion.adapters.providers.outbound import Outbound
from clarion.adapters.valkey.rate_limit import ValkeyRateLimiter
from clarion.adapters.valkey.turns import ValkeyTurns
from clarion.audience.attributes import AttributePorts
from clarion.entrypoints.journeying import open_facts, webhook_secrets
from clarion.journeys.carry_out import CarriedOut, EffectPorts
from clarion.journeys.changes import AttributeChanges
from clarion.journeys.drive import EnginePorts, drive
from clarion.journeys.facts import StoreFacts
from clarion.journeys.slow import CALLS, SlowLane

if TYPE_CHECKING:
    from clarion.bootstrap import Region
    from clarion.journeys.outside import Starter
    from clarion.orchestration.accept import AcceptPorts

ANSWERS: Final = 500
"""Late answers that are brought home together."""

WAIT_S: Final = 1.0


class EffectParts(msgspec.Struct, frozen=True):
    """What the engine is given: facts, effects, and the lane of those effects whose answers come late."""

    facts: StoreFacts
    effects: CarriedOut
    slow: SlowLane


@asynccontextmanager
async def open_effects(region: Region, accept: AcceptPorts, starter: Starter) -> AsyncGenerator[EffectParts]:
    """Facts and effects on a region's stores. Calls that are under way when the block ends are given up."""
    users, messages = PostgresKnownUsers(region.pools), PostgresMessages(region.pools)
    guard = EgressGuard(read_networks(region.settings.egress_allow))
    transport = Transport(guard.resolve, limits=PoolLimits(size=CALLS))
    slow = SlowLane()
    ports = EffectPorts(
        accept=accept,
        users=users,
        profiles=region.seals,
        messages=messages,
        queue=region.queue,
        outside=Outbound(transport, webhook_secrets(region), region.clock),
        changes=AttributeChanges(AttributePorts(region.users, region.seals, region.keyring, region.sealer)),
        starter=starter,
        turns=ValkeyTurns(region.valkey),
        limiter=ValkeyRateLimiter(region.valkey),
    )
    try:
        yield EffectParts(open_facts(region), CarriedOut(ports, slow), slow)
    finally:
        await slow.close()
        await transport.close()


async def bring_answers(slow: SlowLane, ports: EnginePorts) -> float:
    """Move the runs whose calls were answered; seconds until the next look.

    An answer that is lost on the way is asked for again, as if the call had never come back.
    """
    finished = await slow.collect(ANSWERS, WAIT_S)
    if finished:
        await drive({one.instance_id: (one.done,) for one in finished}, ports)
    return 0.0
