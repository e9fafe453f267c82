"""The parts of journeys, put together for the processes that use them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec

from clarion.adapters.globaldb.instances import GlobalInstances, GlobalRuns
from clarion.adapters.globaldb.journeys import GlobalJourneys
from clarion.adapters.postgres.journey_contexts import PostgresJourneyContexts
from clarion.adapters.postgres.journey_effects import (
    PostgresKnownUsers,
    PostgresMessages,
    PostgresWebhookGenerations,
)
from clarion.adapters.valkey.continuations import ValkeyContinuations
from clarion.audience.segments import SegmentAudience
from clarion.bootstrap import Region
from clarion.journeys.catalog import CachedJourneys
from clarion.journeys.facts import FactPorts, StoreFacts
from clarion.journeys.outside import Starting
from clarion.journeys.ports import FactSource
from clarion.journeys.trigger import Begun, EntryAsk, TriggerPorts, trigger
from clarion.journeys.webhook_secrets import WebhookSecrets
from clarion.kernel.errors import ClarionError, Conflict, NotFound, Unknown

NONCE_BITS: Final = 40


def make_nonce() -> int:
    """Random bits for the version of a context."""
    return secrets.randbits(NONCE_BITS)


class JourneyParts(msgspec.Struct, frozen=True):
    """The stores of journeys, as the API and the workers use them."""

    store: GlobalJourneys
    runs: GlobalRuns
    catalog: CachedJourneys
    instances: GlobalInstances
    contexts: PostgresJourneyContexts
    continuations: ValkeyContinuations


def build_journeys(region: Region, global_pool: asyncpg.Pool) -> JourneyParts:
    """The stores of journeys on a region's connections."""
    store = GlobalJourneys(global_pool, region.clock)
    return JourneyParts(
        store=store,
        runs=GlobalRuns(global_pool),
        catalog=CachedJourneys(store, region.clock.monotonic),
        instances=GlobalInstances(global_pool, region.settings.region),
        contexts=PostgresJourneyContexts(region.pools, region.keyring, region.sealer),
        continuations=ValkeyContinuations(region.valkey, region.settings.region),
    )


def open_facts(region: Region) -> StoreFacts:
    """What is known of users, on a region's stores."""
    users, messages = PostgresKnownUsers(region.pools), PostgresMessages(region.pools)
    return StoreFacts(FactPorts(users, region.seals, messages, region.configs))


def trigger_ports(parts: JourneyParts, region: Region, facts: FactSource) -> TriggerPorts:
    """What entries use. `facts`: for audience rules."""
    return TriggerPorts(
        parts.catalog,
        parts.instances,
        parts.contexts,
        parts.continuations,
        region.users,
        PostgresKnownUsers(region.pools),
        SegmentAudience(region.segments),
        facts,
        region.clock,
        region.settings.region,
        make_nonce,
    )


class RunStarter:
    """`journeys.outside.Starter`: runs that other runs begin, by the way that everybody takes."""

    def __init__(self, ports: TriggerPorts) -> None:
        self._ports = ports

    async def start(self, starts: Sequence[Starting]) -> list[str]:
        """Begin runs; see `Starter.start`."""
        asks = [
            EntryAsk(
                tenant_id=one.tenant_id,
                journey=one.journey,
                external_id=one.external_id,
                context=one.context,
                is_test=one.is_test,
                entry_key=one.entry_key,
            )
            for one in starts
        ]
        return [_refusal(result) for result in await trigger(asks, self._ports)]


def _refusal(result: Begun | ClarionError) -> str:
    """Why a run was not begun, in words for a timeline: texts of errors may name the user."""
    match result:
        case Begun():
            return ""
        case NotFound():
            return "no such journey"
        case Conflict():
            return "the journey takes nobody now"
        case Unknown():
            return "unknown_user"
        case _:
            return "the journey does not take this user"


def webhook_secrets(region: Region) -> WebhookSecrets:
    """The secrets of this region's tenants' webhooks."""
    generations = PostgresWebhookGenerations(region.pools)
    return WebhookSecrets(region.root.derive("journey-webhooks"), generations, region.clock)
