"""Dead letters in Postgres: read them, open their deliveries anew, forget them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec

from clarion.adapters.postgres.accept import SWEEP_GRACE_MS
from clarion.adapters.postgres.queries import load_queries
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem
from clarion.delivery.suspects import DeadLetter

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

EVERYONE: Final = None
"""In the place of a tenant: the operator's view over all of them."""

FIRST: Final = (0, bytes(16))
"""Position before all letters."""


class LetterFilter(msgspec.Struct, frozen=True):
    """Which letters: None where it does not matter. `died_before_ms` is UTC milliseconds.

    `is_test` counts only where letters are changed, not where they are listed.
    """

    reason: str | None = None
    channel: str | None = None
    category: str | None = None
    died_before_ms: int | None = None
    is_test: bool | None = None


class LetterQuery(msgspec.Struct, frozen=True):
    """A page of letters: `redriven` false for those still dead; `after` is a position (died ms, id)."""

    filter: LetterFilter
    redriven: bool | None
    after: tuple[int, bytes]
    limit: int


class RedriveOrder(msgspec.Struct, frozen=True):
    """What to open anew: these ids, or (None) all of the filter; at most `limit`, `rate_per_s` of them a second."""

    ids: Sequence[bytes] | None
    filter: LetterFilter
    rate_per_s: float
    limit: int


class PostgresDeadLetters:
    """Letters of one tenant, or with `EVERYONE` of all: the latter for the operator's command line only."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("dead_letters")
        self._append_outbox = load_queries("accept")["append_outbox"]

    async def list(self, tenant_id: bytes | None, query: LetterQuery) -> list[DeadLetter]:
        """Letters, the oldest first."""
        wanted = (tenant_id, *_values(query.filter), query.redriven, *query.after, query.limit)
        async with self._reading(tenant_id) as connection:
            return [_letter(r) for r in await connection.fetch(self._sql["list_letters"], *wanted)]

    async def read(self, tenant_id: bytes | None, delivery_id: bytes) -> DeadLetter | None:
        """One letter; None where the tenant has no such letter."""
        async with self._reading(tenant_id) as connection:
            record = await connection.fetchrow(self._sql["read_letter"], tenant_id, delivery_id)
        return None if record is None else _letter(record)

    async def redrive(self, tenant_id: bytes | None, order: RedriveOrder, now_ms: int) -> list[WorkItem]:
        """Open deliveries anew, with their events, in one transaction; what was opened, by its due time.

        Asking again opens nothing twice; after a crash the rest is still dead. A tenant's redrives queue up behind one
        another, so that its pace holds over several of them.
        """
        async with self._pools.pipeline() as connection, connection.transaction():
            records = await connection.fetch(
                self._sql["redrive"],
                tenant_id,
                None if order.ids is None else sorted(order.ids),
                *_values(order.filter),
                order.limit,
                order.rate_per_s,
                SWEEP_GRACE_MS,
                order.filter.is_test,
            )
            if records:
                events = [_reopened(record, now_ms) for record in records]
                await connection.execute(
                    self._append_outbox, NOTIFICATION_EVENTS.name, len(events), encode_events(events)
                )
        return [
            WorkItem(r["global_id"], r["tenant_id"], r["channel"], r["priority"], r["due_at"])
            for r in records
        ]

    async def explain_left(
        self, tenant_id: bytes | None, ids: Sequence[bytes], *, is_test: bool | None = None
    ) -> dict[bytes, str]:
        """Why a redrive (of tests only, of live ones only, or of both) did not open these."""
        if not ids:
            return {}
        async with self._reading(tenant_id) as connection:
            records = await connection.fetch(self._sql["explain_left"], tenant_id, ids, is_test)
        return {record["global_id"]: record["why"] for record in records}

    async def count_redrivable(self, tenant_id: bytes | None, chosen: LetterFilter) -> int:
        """How many letters of the filter a redrive would open."""
        async with self._reading(tenant_id) as connection:
            counted = await connection.fetchval(
                self._sql["count_redrivable"], tenant_id, *_values(chosen), chosen.is_test
            )
        return int(counted)

    async def drop(
        self, tenant_id: bytes | None, ids: Sequence[bytes], *, is_test: bool | None = None
    ) -> set[bytes]:
        """Forget letters (of tests only, of live ones only, or of both); which there were."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["drop_letters"], tenant_id, ids, is_test)
        return {record["global_id"] for record in records}

    async def backlog(self) -> tuple[int, float]:
        """Letters of all tenants that nobody has redriven, and the age of the oldest in seconds."""
        async with self._pools.pipeline() as connection:
            (record,) = await connection.fetch(self._sql["letters_backlog"])
        return int(record["letters"]), float(record["age_s"])

    def _reading(self, tenant_id: bytes | None) -> AbstractAsyncContextManager[PoolConnectionProxy]:
        return self._pools.pipeline() if tenant_id is None else self._pools.reader(tenant_id)


def _values(chosen: LetterFilter) -> tuple[str | None, str | None, str | None, int | None]:
    return chosen.reason, chosen.channel, chosen.category, chosen.died_before_ms


def _letter(r: asyncpg.Record) -> DeadLetter:
    return DeadLetter(
        delivery_id=r["global_id"],
        notification_id=r["notification_id"],
        tenant_id=r["tenant_id"],
        user_id=r["external_id"] or "",
        category=r["category"],
        channel=r["channel"],
        template=r["template"],
        priority=r["priority"],
        is_test=r["is_test"],
        reason=r["reason"],
        last_error=r["last_error"],
        crashes=r["crashes"],
        deliveries=r["deliveries"],
        attempts=r["attempts"],
        provider=r["provider"],
        status=r["status"],
        created_ms=r["created_at"],
        died_ms=r["died_at"],
        redrives=r["redrives"],
        redriven_ms=r["redriven_at"],
        redrive_due_ms=r["redrive_due_at"],
    )


def _reopened(record: asyncpg.Record, now_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(record["global_id"], "redriven", record["lease_epoch"]),
        type="retrying",
        at_ms=now_ms,
        tenant_id=record["tenant_id"],
        notification_id=record["notification_id"],
        delivery_id=record["global_id"],
        user_id=record["user_id"],
        category=record["category"],
        channel=record["channel"],
        detail="redriven",
        traceparent=record["traceparent"],
        is_test=record["is_test"],
        journey_id=name_run(record["journey_id"]),
    )
