"""Notifications as their tenant reads and cancels them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from clarion.adapters.postgres.fallbacks import ChainRecord, chain_of
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem, sibling_ids
from clarion.kernel.ids import created_ms

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools


class DeliveryRecord(msgspec.Struct, frozen=True):
    """One delivery as stored. Times are UTC ms, JSON columns bytes, `provider_cost` a decimal text in currency.

    `chain`: the channels that its notification goes on to; None where it has none.
    """

    delivery_id: bytes
    notification_id: bytes
    user_id: str
    channel: str
    category: str
    priority: int
    template: str
    template_version: int
    status: str
    provider: str | None
    provider_cost: str | None
    provider_message_id: str | None
    attempts: int
    created_ms: int
    sent_ms: int | None
    delivered_ms: int | None
    engaged_ms: int | None
    send_ms: int | None
    expires_ms: int | None
    due_ms: int | None
    decision: bytes
    attempt_log: bytes | None
    consent_snapshot: bytes | None
    metadata: bytes
    journey_id: str
    traceparent: str
    is_test: bool
    sending_via: str | None
    lease_epoch: int | None
    chain: ChainRecord | None = None


class ListedDelivery(msgspec.Struct, frozen=True):
    """One line of a list of deliveries."""

    delivery_id: bytes
    notification_id: bytes
    channel: str
    category: str
    status: str
    created_ms: int
    sent_ms: int | None
    user_id: str | None
    is_test: bool


class ListQuery(msgspec.Struct, frozen=True):
    """Which deliveries: of a user, or since an instant; `before` is the position after which to go on (time, id).

    `is_test`: those of test credentials only, or of live ones only; None: both.
    """

    user_id: str | None
    status: str | None
    since_ms: int
    before: tuple[int, bytes]
    limit: int
    is_test: bool | None = None


def _delivery(r: asyncpg.Record) -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id=r["global_id"],
        notification_id=r["notification_id"],
        user_id=r["external_id"] or "",
        channel=r["channel"],
        category=r["category"],
        priority=r["priority"],
        template=r["template"],
        template_version=r["template_version"],
        status=r["status"],
        provider=r["provider"],
        provider_cost=r["provider_cost"],
        provider_message_id=r["provider_message_id"],
        attempts=r["attempts"],
        created_ms=r["created_at"],
        sent_ms=r["sent_at"],
        delivered_ms=r["delivered_at"],
        engaged_ms=r["engaged_at"],
        send_ms=r["ml_send_time"],
        expires_ms=r["expires_at"],
        due_ms=r["due_at"],
        decision=r["decision"],
        attempt_log=r["attempt_log"],
        consent_snapshot=r["consent_snapshot"],
        metadata=r["metadata"],
        journey_id=r["journey_id"],
        traceparent=r["traceparent"],
        is_test=r["is_test"],
        sending_via=r["sending_via"],
        lease_epoch=r["lease_epoch"],
        chain=chain_of(r),
    )


class PostgresNotifications:
    """Reads go through the tenant-bound reader pool; cancelling through the pipeline pool, tenant compared."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("notifications")

    async def read(self, tenant_id: bytes, notification_id: bytes) -> list[DeliveryRecord]:
        """The deliveries of a notification; empty where the tenant has no such notification."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(
                self._sql["read_deliveries"], sibling_ids(notification_id), created_ms(notification_id)
            )
        return [_delivery(record) for record in records]

    async def list(self, tenant_id: bytes, query: ListQuery) -> list[ListedDelivery]:
        """Deliveries newest first, at most `query.limit`."""
        async with self._pools.reader(tenant_id) as connection:
            tail = (query.status, *query.before, query.limit, query.is_test)
            if query.user_id is not None:
                records = await connection.fetch(self._sql["list_by_user"], tenant_id, query.user_id, *tail)
            else:
                records = await connection.fetch(self._sql["list_by_time"], tenant_id, query.since_ms, *tail)
        return [ListedDelivery(*record.values()) for record in records]

    async def cancel(self, tenant_id: bytes, notification_id: bytes, now_ms: int) -> Sequence[WorkItem]:
        """Cancel the deliveries that nobody has begun to send; what was cancelled, for the queue to forget.

        After this returns none of them can be sent: a worker's intent finds no open row.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            await connection.execute(self._sql["cancel_chain"], tenant_id, notification_id)
            taken = await connection.fetch(self._sql["close_ready"], tenant_id, sibling_ids(notification_id))
            return await cancel_taken(connection, tenant_id, taken, now_ms)


async def cancel_taken(
    connection: PoolConnectionProxy, tenant_id: bytes, taken: Sequence[asyncpg.Record], now_ms: int
) -> list[WorkItem]:
    """Mark deliveries of one millisecond, which this transaction took out of the open ones, as cancelled.

    With their events; as items for the queue to forget.
    """
    if not taken:
        return []
    idents = [row["global_id"] for row in taken]
    rows = await connection.fetch(
        load_queries("notifications")["mark_cancelled"], idents, created_ms(idents[0])
    )
    events = [_cancelled(row, tenant_id, now_ms) for row in rows]
    await connection.execute(
        load_queries("accept")["append_outbox"], NOTIFICATION_EVENTS.name, len(events), encode_events(events)
    )
    return [WorkItem(r["global_id"], tenant_id, r["channel"], r["priority"], r["due_at"]) for r in taken]


def _cancelled(row: asyncpg.Record, tenant_id: bytes, now_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(row["global_id"], "cancelled"),
        type="cancelled",
        at_ms=now_ms,
        tenant_id=tenant_id,
        notification_id=row["notification_id"],
        delivery_id=row["global_id"],
        user_id=row["user_id"],
        category=row["category"],
        channel=row["channel"],
        traceparent=row["traceparent"],
        is_test=row["is_test"],
        journey_id=name_run(row["journey_id"]),
    )
