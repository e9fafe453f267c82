"""Open deliveries in Postgres: load, intent, outcome, and what the sweeper finds. The truth about who may send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.accept import SWEEP_GRACE_MS
from clarion.adapters.postgres.devices import devices_of
from clarion.adapters.postgres.fallbacks import wake_chains
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, encode_events
from clarion.contracts.statuses import TERMINAL
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem
from clarion.delivery.model import Conclusion, Job
from clarion.delivery.ports import Intent
from clarion.kernel.ids import created_ms
from clarion.orchestration.chains import NEVER_THERE
from clarion.tenancy.model import QuietHours

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

_decode_quiet: Final = msgspec.json.Decoder(QuietHours | None).decode
_decode_preferences: Final = msgspec.json.Decoder(dict[str, int]).decode


def _work(record: asyncpg.Record) -> WorkItem:
    return WorkItem(
        record["global_id"], record["tenant_id"], record["channel"], record["priority"], record["due_at"]
    )


def _job(record: asyncpg.Record) -> Job:
    return Job(
        item=_work(record),
        user_id=record["user_id"],
        category=record["category"],
        template=record["template"],
        template_version=record["template_version"],
        payload=record["payload"],
        personalization=record["personalization"],
        external_id=record["external_id"] or "",
        timezone=record["timezone"] or "",
        language=record["language"] or "",
        country=record["country"] or "",
        region=record["region"] or "",
        phone_country=record["phone_country"] or "",
        phone_zones=tuple((record["phone_zones"] or "").split()),
        sealed=record["sealed"] or b"",
        state=record["state"],
        lease_epoch=record["lease_epoch"],
        lease_live=record["lease_live"],
        leased_until_ms=record["leased_until"] or 0,
        attempts=record["attempts"],
        provider=record["provider"],
        expires_ms=record["expires_at"] or 0,
        due_ms=record["due_at"],
        traceparent=record["traceparent"],
        journey_id=record["journey_id"],
        collapse_key=record["collapse_key"] or "",
        is_test=record["is_test"],
        tried=tuple(record["tried"]),
        excused=record["excused"],
        config_version=record["config_version"],
        quiet_hours=_decode_quiet(record["quiet_hours"]) if record["quiet_hours"] else None,
        preferences=_decode_preferences(record["preferences"]) if record["preferences"] else {},
        devices=devices_of(record) if record["device_tokens"] else (),
    )


class PostgresDeliveryStore:
    """`DeliveryStore` on the pipeline pool, and the sweeper's queries."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("deliveries")
        self._append_outbox = load_queries("accept")["append_outbox"]

    async def load(self, items: Sequence[WorkItem]) -> list[Job]:
        """The jobs among `items` that are still open; see `DeliveryStore.load`."""
        ids = [item.delivery_id for item in items]
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["load_jobs"], ids, [created_ms(i) for i in ids])
        return [_job(record) for record in records]

    async def begin(self, intents: Sequence[Intent], *, lease_ms: int) -> dict[bytes, int]:
        """Commit intents; new epoch by delivery id; see `DeliveryStore.begin`."""
        ordered = sorted(intents, key=lambda intent: intent.delivery_id)
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["begin_attempts"],
                [i.delivery_id for i in ordered],
                [i.epoch for i in ordered],
                [i.provider for i in ordered],
                lease_ms,
            )
        return {record["global_id"]: record["lease_epoch"] for record in records}

    async def conclude(
        self, conclusions: Sequence[Conclusion], events: Sequence[NotificationEvent]
    ) -> set[bytes]:
        """Commit conclusions with their events in one transaction; see `DeliveryStore.conclude`."""
        ordered = sorted(conclusions, key=lambda c: c.delivery_id)
        closing = [c for c in ordered if c.status in TERMINAL]
        reopening = [c for c in ordered if c.status not in TERMINAL]
        async with self._pools.pipeline() as connection, connection.transaction():
            done = await self._leave_open(connection, closing, reopening)
            effective = [c for c in ordered if c.delivery_id in done]
            if effective:
                await self._fold(connection, effective)
            lost = [c.delivery_id for c in closing if c.status in NEVER_THERE and c.delivery_id in done]
            if lost:
                await wake_chains(connection, lost)
            kept = [event for event in events if event.delivery_id in done]
            if kept:
                await connection.execute(
                    self._append_outbox, NOTIFICATION_EVENTS.name, len(kept), encode_events(kept)
                )
        return done

    async def _leave_open(
        self, connection: PoolConnectionProxy, closing: Sequence[Conclusion], reopening: Sequence[Conclusion]
    ) -> set[bytes]:
        done: set[bytes] = set()
        if closing:
            records = await connection.fetch(
                self._sql["close_deliveries"], [c.delivery_id for c in closing], [c.epoch for c in closing]
            )
            done.update(record["global_id"] for record in records)
        if reopening:
            records = await connection.fetch(
                self._sql["reopen_deliveries"],
                [c.delivery_id for c in reopening],
                [c.epoch for c in reopening],
                [c.due_ms for c in reopening],
                SWEEP_GRACE_MS,
                [c.moves_on for c in reopening],
                [int(c.excused) for c in reopening],
            )
            done.update(record["global_id"] for record in records)
        return done

    async def _fold(self, connection: PoolConnectionProxy, conclusions: Sequence[Conclusion]) -> None:
        await connection.execute(
            self._sql["fold_conclusions"],
            [c.delivery_id for c in conclusions],
            [created_ms(c.delivery_id) for c in conclusions],
            [c.status for c in conclusions],
            [c.provider or None for c in conclusions],
            [c.provider_message_id or None for c in conclusions],
            [c.cost_micros for c in conclusions],
            [int(c.attempted) for c in conclusions],
            [c.attempt_entry or None for c in conclusions],
            [c.consent_snapshot or None for c in conclusions],
        )
        named = [c for c in conclusions if c.by_message_id and c.provider_message_id]
        if named:
            await connection.execute(
                self._sql["note_message_ids"],
                [c.delivery_id for c in named],
                [created_ms(c.delivery_id) for c in named],
                [c.provider for c in named],
                [c.provider_message_id for c in named],
            )

    async def take_overdue(self, limit: int) -> list[WorkItem]:
        """Up to `limit` deliveries that are past their time without a live lease; each is offered ever less often."""
        async with self._pools.pipeline() as connection:
            return [_work(record) for record in await connection.fetch(self._sql["take_overdue"], limit)]

    async def page_open(self, after: bytes, limit: int) -> list[WorkItem]:
        """Open deliveries that nobody holds with ids above `after` (16 bytes), in id order, at most `limit`."""
        async with self._pools.pipeline() as connection:
            return [_work(record) for record in await connection.fetch(self._sql["page_open"], after, limit)]
