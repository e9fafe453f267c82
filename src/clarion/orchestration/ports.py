"""What accepting, publishing and consuming need from the outside. One port per duty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from clarion.audience.model import Card
from clarion.contracts.events import NotificationEvent
from clarion.contracts.topics import Topic
from clarion.contracts.work import WorkItem
from clarion.orchestration.model import AcceptGroup, GroupOutcome, Row
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.quotas import GiveBack, Take, Verdict


class AcceptStore(Protocol):
    """Where a promise becomes durable (Postgres, `synchronous_commit=on`)."""

    async def commit(
        self, groups: Sequence[AcceptGroup], events: Sequence[NotificationEvent]
    ) -> list[GroupOutcome]:
        """Write all groups that are not repeats in one transaction; outcome per group, in order.

        `events` belong to `rows` by delivery id; those of groups that were not written are left out. Raises Permanent
        where the store refuses a value (nothing was written: find it with `storable`), Transient where it is away.
        """
        ...

    async def storable(self, rows: Sequence[Row]) -> bool:
        """Whether the store would take these rows; writes nothing."""
        ...


class CardSource(Protocol):
    """The users' cards, from cache or truth."""

    async def read(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order; None where the tenant has no such user."""
        ...


class ConfigSource(Protocol):
    """Tenants' settings, cached; a write through the API is seen at once by the process that made it."""

    async def get(self, tenant_id: bytes) -> TenantConfig:
        """The tenant's configuration. Raises NotFound where there is no such tenant."""
        ...


class WorkSink(Protocol):
    """The queue as an accept sees it."""

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        """Queue items now, or for their `due_ms`. Raises Transient: then the sweeper will queue them from the rows."""
        ...


class CardCache(Protocol):
    """Packed cards, kept for a while. Never the truth: a miss says nothing about the user."""

    async def read(self, tenant_id: bytes, external_ids: Sequence[str]) -> list[Card | None]:
        """A card per id, in order; None is a miss (absent, expired, or bytes of another age). Raises Transient."""
        ...

    async def put(self, tenant_id: bytes, cards: Sequence[Card]) -> None:
        """Keep these cards, except where one of the same or a newer version is there. Raises Transient."""
        ...

    async def drop(self, tenant_id: bytes, external_ids: Sequence[str]) -> None:
        """Forget these users' cards, and keep none for the next seconds: one that was read before may be under way.

        Raises Transient.
        """
        ...


class ContextStore(Protocol):
    """What a tenant's systems said last about a user, for her templates. Forgotten 30 days after the last word."""

    async def merge(self, user_id: int, context: dict[str, Any]) -> None:
        """Set the fields of `context` (values: what JSON holds); None removes a field; the others stay as they are.

        Raises Invalid, and changes nothing, where a value is not JSON or the user's context would have more than
        100 fields or 64 KB; Transient.
        """
        ...

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The context of each user, in order; empty where nothing is known. Raises Transient."""
        ...

    async def drop(self, user_ids: Sequence[int]) -> None:
        """Forget all about these users. Raises Transient."""
        ...


class RateLimiter(Protocol):
    """Token buckets that all processes of a region share (`tenancy.quotas`)."""

    async def take(self, takes: Sequence[Take]) -> list[Verdict]:
        """A verdict per take, in order; each counts those before it. A refused take takes nothing.

        Raises Transient: `tenancy.quotas.LocalBuckets` then decides.
        """
        ...

    async def give_back(self, places: Sequence[GiveBack]) -> None:
        """Free places of tenants' days again: what they were taken for was not accepted. Raises Transient."""
        ...


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """A payload on the log. `entry_id` is the log's own name for it, unique and rising within its partition."""

    partition: int
    entry_id: bytes
    payload: bytes


class Subscription(msgspec.Struct, frozen=True):
    """One consumer of a group. Each entry of the topic goes to one consumer of each group.

    `consumer` names a process; a name that is the same after a restart leaves no trace of earlier lives.
    """

    group: str
    consumer: str
    topic: Topic


class EventLog(Protocol):
    """The log as producers and its keeper see it."""

    async def append(self, topic: Topic, entries: Sequence[tuple[int, bytes]]) -> None:
        """Append (key, payload) pairs in one call; those of one partition (`partition_of` the key) in order.

        A partition's number is a key of that partition. Raises Transient; some may then have been appended, and
        appending all again is right: consumers drop events that they know.
        """
        ...

    async def trim(self, topics: Sequence[Topic]) -> int:
        """Remove what is older than its topic's retention, or over the log's size; number of entries removed.

        Never an entry that a group has yet to read or to ack. Raises Transient.
        """
        ...


class EventConsumer(Protocol):
    """The log as a consumer sees it. Entries come at least once; what is not acked can be claimed by others.

    While a group has one consumer and nothing fails, a partition's entries come in order. Else they may not: events
    carry an id and a time, and consumers go by these.
    """

    async def read(
        self, subscription: Subscription, *, max_entries: int, block_ms: int = 0
    ) -> list[LogEntry]:
        """Entries that no consumer of the group was given yet, from the oldest that the log holds.

        At most `max_entries` (or one a partition, if that is more). Returns when there are some, after `block_ms` at
        the latest. Raises Transient; entries under way may then be had from `claim`.
        """
        ...

    async def claim(self, subscription: Subscription, *, idle_ms: int, max_entries: int) -> list[LogEntry]:
        """Take over entries that a consumer of the group was given at least `idle_ms` ago and did not ack.

        Call it now and then until it gives nothing. `max_entries` as in `read`. Raises Transient.
        """
        ...

    async def ack(self, subscription: Subscription, entries: Sequence[LogEntry]) -> None:
        """Say that the group is done with these entries. Repeats are ignored. Raises Transient."""
        ...

    async def lag(self, group: str, topic: Topic) -> int:
        """How many entries of `topic` the group has yet to ack, given out or not. Raises Transient."""
        ...
