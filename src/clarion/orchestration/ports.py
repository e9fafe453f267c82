"""What accepting needs from the outside. One port per duty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from clarion.audience.model import Card
from clarion.contracts.events import NotificationEvent
from clarion.contracts.work import WorkItem
from clarion.orchestration.model import AcceptGroup, GroupOutcome, Row
from clarion.tenancy.config import TenantConfig


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
