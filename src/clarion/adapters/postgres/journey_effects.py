"""What effects of journeys need of the regional store: users by our ids, how messages did, and taking them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clarion.adapters.postgres.fallbacks import drop_deliveries
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import encode_events
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem, sibling_ids
from clarion.journeys.outside import KnownUser
from clarion.journeys.webhook_secrets import Generation
from clarion.kernel.ids import created_ms

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresKnownUsers:
    """`journeys.outside.KnownUsers` on the pipeline pool: runs of all tenants come in one batch."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("journey_effects")

    async def read(self, user_ids: Sequence[int]) -> dict[int, KnownUser]:
        """Those of them who are there; see `KnownUsers.read`."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["read_users"], user_ids)
        return {record["user_id"]: KnownUser(*record.values()) for record in records}


class PostgresMessages:
    """`journeys.outside.Messages` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("journey_effects")
        self._append_outbox = load_queries("accept")["append_outbox"]

    async def statuses(self, notification_ids: Sequence[bytes]) -> dict[bytes, list[str]]:
        """The statuses of the deliveries of each; see `Messages.statuses`."""
        if not notification_ids:
            return {}
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["read_statuses"],
                notification_ids,
                [created_ms(ident) for ident in notification_ids],
            )
        found: dict[bytes, list[str]] = {}
        for record in records:
            found.setdefault(record["ident"], []).append(record["status"])
        return found

    async def recall(self, notification_ids: Sequence[bytes], now_ms: int) -> list[WorkItem]:
        """Cancel what nobody has begun to send of them; see `Messages.recall`."""
        if not notification_ids:
            return []
        deliveries = [each for ident in notification_ids for each in sibling_ids(ident)]
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["end_chains"], notification_ids)
            items, events = await drop_deliveries(connection, deliveries, now_ms)
            if events:
                await connection.execute(
                    self._append_outbox, NOTIFICATION_EVENTS.name, len(events), encode_events(events)
                )
        return items


class PostgresWebhookGenerations:
    """`journeys.webhook_secrets.Generations` on the pipeline pool."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("journey_effects")

    async def read(self, tenant_id: bytes) -> Generation:
        """That of a tenant; see `Generations.read`."""
        async with self._pools.pipeline() as connection:
            record = await connection.fetchrow(self._sql["read_generation"], tenant_id)
        return Generation() if record is None else Generation(*record.values())

    async def advance(self, tenant_id: bytes) -> Generation:
        """Begin the next; see `Generations.advance`."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(self._sql["next_generation"], tenant_id)
        return Generation(*record.values())
