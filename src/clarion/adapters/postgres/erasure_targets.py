"""What the regional database and the database of keys hold of a user, as stores to be erased.

What is removed is named by statements in `sql/erasure_targets.sql`. A test compares them with the catalogue: a table
that names users and is in none of them, nor among the exceptions with their reasons, fails it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

import asyncpg
import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.compliance.ports import DataSubject
from clarion.contracts.events import NotificationEvent, derive_event_id, encode_events, name_run
from clarion.contracts.topics import NOTIFICATION_EVENTS
from clarion.contracts.work import WorkItem
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Transient

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

BATCH: Final = 1_000
"""Rows that one transaction changes at most: none holds locks for long."""


class Part(msgspec.Struct, frozen=True):
    """A kind of what a store holds of a user, and the statement that removes and counts it."""

    kind: str
    statement: str


class Queue(Protocol):
    """The queue that deliveries wait in."""

    async def remove(self, items: Sequence[WorkItem]) -> None:
        """Take items out of the schedule, as far as they are there. Raises Transient."""
        ...


class KeyTarget:
    """A user's data key: what it sealed, wherever a copy is, cannot be read again."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._destroy = load_queries("erasure_targets")["destroy_key"]

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "postgres.keys"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Destroy it; see `ErasureTarget.erase`."""
        async with self._pools.keys() as connection:
            return {"keys": await connection.fetchval(self._destroy, subject.user_id)}


class TableTarget:
    """Tables whose rows of a user go in one transaction, part by part."""

    def __init__(self, pools: Pools, name: str, parts: tuple[Part, ...]) -> None:
        self._pools = pools
        self._name = name
        self._parts = parts
        self._sql = load_queries("erasure_targets")

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return self._name

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Remove her rows; see `ErasureTarget.erase`."""
        async with self._pools.pipeline() as connection, connection.transaction():
            return {
                part.kind: await connection.fetchval(
                    self._sql[part.statement], subject.tenant_id, subject.user_id
                )
                for part in self._parts
            }


class DeliveryTarget:
    """What waits to be sent to a user. What a worker has begun it ends; until then there is no certificate."""

    def __init__(self, pools: Pools, queue: Queue, clock: Clock) -> None:
        self._pools = pools
        self._queue = queue
        self._clock = clock
        self._sql = load_queries("erasure_targets")
        self._append_outbox = load_queries("accept")["append_outbox"]

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "postgres.deliveries"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Cancel what nobody is sending; see `ErasureTarget.erase`. Raises Transient while something is being sent."""
        withdrawn = 0
        who = subject.tenant_id, subject.user_id
        async with self._pools.pipeline() as connection:
            chains = await connection.fetchval(self._sql["cancel_chains"], *who)
        while items := await self._withdraw(subject):
            await self._queue.remove(items)
            withdrawn += len(items)
        async with self._pools.pipeline() as connection:
            sending = await connection.fetchval(self._sql["count_sending"], *who)
        if sending:
            detail = f"{sending} messages are being sent"
            raise Transient(detail)
        return {"deliveries": withdrawn, "chains": chains}

    async def _withdraw(self, subject: DataSubject) -> list[WorkItem]:
        async with self._pools.pipeline() as connection, connection.transaction():
            rows = await connection.fetch(
                self._sql["withdraw_deliveries"], subject.tenant_id, subject.user_id, BATCH
            )
            if rows:
                events = [_withdrawn(row, subject.tenant_id, self._clock.now_ms()) for row in rows]
                await connection.execute(
                    self._append_outbox, NOTIFICATION_EVENTS.name, len(events), encode_events(events)
                )
        return [
            WorkItem(row["global_id"], subject.tenant_id, row["channel"], row["priority"], row["due_at"])
            for row in rows
        ]


class NotificationTarget:
    """What was said to a user, in every partition. The rows stay without their words."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._clear = load_queries("erasure_targets")["clear_notifications"]

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "postgres.notifications"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Clear them, some at a time; see `ErasureTarget.erase`."""
        cleared = 0
        while True:
            async with self._pools.pipeline() as connection:
                found = await connection.fetchval(self._clear, subject.tenant_id, subject.user_id, BATCH)
            cleared += found
            if found < BATCH:
                return {"notifications": cleared}


class AudienceTarget:
    """A user's name in the audiences of broadcasts that are under way."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("erasure_targets")

    @property
    def name(self) -> str:
        """As the certificate names it."""
        return "postgres.broadcasts"

    async def erase(self, subject: DataSubject) -> Mapping[str, int]:
        """Take it out; see `ErasureTarget.erase`. Where it is not known, nothing can be found by it."""
        if not subject.external_id:
            return {"lists": 0, "chunks": 0}
        who = subject.tenant_id, subject.external_id
        async with self._pools.pipeline() as connection, connection.transaction():
            return {
                "lists": await connection.fetchval(self._sql["leave_lists"], *who),
                "chunks": await connection.fetchval(self._sql["leave_chunks"], *who),
            }


PROFILE: Final = (
    Part("objections", "keep_objections"),
    Part("suppressions", "drop_suppressions"),
    Part("consents", "drop_consent"),
    Part("devices", "drop_devices"),
    Part("dead_devices", "drop_dead_devices"),
    Part("profiles", "drop_profile"),
)
ACTIVITY: Final = (
    Part("events", "drop_events"),
    Part("rollups", "drop_rollups"),
    Part("memberships", "drop_memberships"),
    Part("features", "drop_features"),
)
JOURNEYS: Final = (Part("contexts", "drop_journey_contexts"), Part("members", "drop_journey_members"))
DEAD_LETTERS: Final = (Part("letters", "drop_letters"), Part("suspicions", "drop_suspicions"))


def _withdrawn(row: asyncpg.Record, tenant_id: bytes, now_ms: int) -> NotificationEvent:
    return NotificationEvent(
        event_id=derive_event_id(row["global_id"], "cancelled"),
        type=row["status"],
        at_ms=now_ms,
        tenant_id=tenant_id,
        notification_id=row["notification_id"],
        delivery_id=row["global_id"],
        user_id=row["user_id"],
        category=row["category"],
        channel=row["channel"],
        detail="erased",
        traceparent=row["traceparent"],
        is_test=row["is_test"],
        journey_id=name_run(row["journey_id"]),
    )
