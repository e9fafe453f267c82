"""What delivery needs from the outside. Each port is one technology's whole duty towards this feature."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec

from clarion.audience.dead_devices import DeadDevice
from clarion.audience.model import SealedProfile
from clarion.audience.seals import SealedOf
from clarion.compliance.model import ConsentState
from clarion.contracts.events import NotificationEvent
from clarion.contracts.work import WorkItem
from clarion.delivery.conclude import Closing
from clarion.delivery.model import Capabilities, Conclusion, Job, Message, Outcome, RateLimits
from clarion.delivery.suspects import Suspicion
from clarion.templates import TemplateVersion
from clarion.tenancy.config import ProviderConfig, TenantConfig


class WorkSource(Protocol):
    """The queue as a worker sees it. Claims are leases by the store's clock: what is not acked comes back."""

    async def claim(
        self, channel: str, limit: int, *, lease_ms: int, urgent_only: bool = False
    ) -> list[WorkItem]:
        """Up to `limit` due items, leased for `lease_ms`; urgent first, the lowest class never starved. May repeat."""
        ...

    async def ack(self, items: Sequence[WorkItem]) -> None:
        """Forget claimed items. Unknown ones are ignored."""
        ...

    async def postpone(self, items: Sequence[WorkItem]) -> None:
        """Ack the items and queue them again for their `due_ms` (store's clock)."""
        ...

    async def wait(self, channel: str, timeout_s: float, *, urgent_only: bool = False) -> None:
        """Return when work may be there (for `urgent_only` claims: urgent work), after `timeout_s` at the latest."""
        ...


class Intent(msgspec.Struct, frozen=True):
    """The wish to send, committed before the call. `epoch` is the lease epoch read with the job."""

    delivery_id: bytes
    epoch: int
    provider: str


class DeliveryStore(Protocol):
    """The truth about open deliveries (Postgres)."""

    async def load(self, items: Sequence[WorkItem]) -> list[Job]:
        """The jobs that are still open, in any order. Items without an open row are absent: done, or cancelled."""
        ...

    async def begin(self, intents: Sequence[Intent], *, lease_ms: int) -> dict[bytes, int]:
        """Commit the intents; new epoch by delivery id. Absent: held by another worker, concluded or cancelled."""
        ...

    async def conclude(
        self, conclusions: Sequence[Conclusion], events: Sequence[NotificationEvent]
    ) -> set[bytes]:
        """Commit conclusions and their events in one transaction; ids that took effect. An old epoch takes none."""
        ...


class ConsentReader(Protocol):
    """The users' will, read from the primary: never from a cache."""

    async def consents(self, user_ids: Sequence[int]) -> dict[int, ConsentState]:
        """Current state by user; users without any record are absent. Raises Transient where it cannot be read."""
        ...


class CapRequest(msgspec.Struct, frozen=True, gc=False):
    """A claim on a user's daily allowance. `day` is the calendar day in the user's zone, as YYYYMMDD."""

    delivery_id: bytes
    user_id: int
    scope: str
    day: int
    limit: int


class Reservations(Protocol):
    """Atomic daily allowances, keyed by delivery: reserving twice for the same delivery counts once."""

    async def reserve(self, requests: Sequence[CapRequest]) -> list[bool]:
        """Whether each request got (or already had) its place. Order of the requests is the order of service."""
        ...

    async def release(self, requests: Sequence[CapRequest]) -> None:
        """Give places back. Places never taken are ignored."""
        ...

    async def used(self, requests: Sequence[CapRequest]) -> list[int]:
        """How many places of each request's (user, scope, day) are taken."""
        ...


class Provider(Protocol):
    """One account with one vendor. `send` never raises for a message's sake: each outcome says what happened to it."""

    @property
    def capabilities(self) -> Capabilities:
        """What this provider can do; constant for its life."""
        ...

    @property
    def learned(self) -> RateLimits | None:
        """What the vendor said last of the rate at which it takes messages; None: nothing."""
        ...

    async def send(self, batch: Sequence[Message], within_s: float = math.inf) -> list[Outcome]:
        """Send up to `max_batch` messages, in `within_s` seconds or less (a provider may have a deadline of its own).

        Exactly one outcome per message, in order: the deadline takes none from those that were answered before it.
        Cancelled calls are ambiguous.
        """
        ...

    async def close(self) -> None:
        """Release connections. Idempotent."""
        ...


class ProviderPool(Protocol):
    """The tenants' providers, built on first use and kept while their configuration stands."""

    def get(self, config: ProviderConfig) -> Provider:
        """The provider of an account. Never raises: one that cannot be built refuses every message, saying why."""
        ...


class Policies(Protocol):
    """Tenants' settings, cached for a moment."""

    async def get(self, tenant_id: bytes, at_least: int = 0) -> TenantConfig:
        """The tenant's configuration, of version `at_least` where the store can be read.

        Raises NotFound for an unknown tenant, Transient where nothing is known.
        """
        ...


TemplateKey: TypeAlias = tuple[bytes, str, int]
"""Tenant id, name, version."""


class TemplateReader(Protocol):
    """Template versions, which never change: kept in memory once read."""

    async def read(self, keys: Collection[TemplateKey]) -> dict[TemplateKey, TemplateVersion]:
        """The versions by key; those that do not exist are absent. Raises Transient."""
        ...


class ProfileOpener(Protocol):
    """Opens sealed profiles with their users' own keys."""

    async def open_profiles(self, requests: Sequence[SealedOf]) -> list[SealedProfile | None]:
        """The clear profiles, in order; None where the user or her key is gone. Raises Transient."""
        ...


class ContextReader(Protocol):
    """What tenants' systems said last about their users."""

    async def read(self, user_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The context of each user, in order; empty where nothing is known. Raises Transient."""
        ...


class Composer(Protocol):
    """Makes messages of jobs."""

    async def compose(
        self, jobs: Sequence[Job], configs: Mapping[bytes, TenantConfig]
    ) -> list[Message | Closing]:
        """Per job, in order, its message, or how it ends because there is none to be made (address, template)."""
        ...


class DeadDevices(Protocol):
    """Forgets devices that push services no longer know."""

    async def forget(self, dead: Sequence[DeadDevice]) -> None:
        """Remove them, unless their apps registered them later than they died. Raises Transient."""
        ...


class Watcher(Protocol):
    """Told where a batch is. Production counts; tests wait for it, or end the process there."""

    def taken(self, items: Sequence[WorkItem]) -> None:
        """These are taken to be dispatched together; nothing has been done with them yet."""
        ...

    def reached(self, point: str, count: int) -> None:
        """`point` is one of `loaded`, `intended`, `answered`, `recorded`; `count` deliveries got there."""
        ...


class SuspectStore(Protocol):
    """Deliveries to be handled with care, as Postgres remembers them. Every method raises Transient."""

    async def any_suspects(self) -> bool:
        """Whether the region has any."""
        ...

    async def note_lost(self, ids: Sequence[bytes], *, claimed: bool) -> None:
        """Make suspects of open deliveries that a dead worker held; those that are suspects already stay as they are.

        `claimed`: of all that are due and that nobody holds. Else of those only whose attempt began and has no end.
        """
        ...

    async def suspects(self, ids: Sequence[bytes]) -> dict[bytes, Suspicion]:
        """The suspects among the deliveries. A trial whose process died is counted as a crash by then."""
        ...

    async def begin_trials(self, ids: Sequence[bytes], *, trial_ms: int) -> set[bytes]:
        """Commit that this process tries them, for `trial_ms`; those that it may: the others another process tries."""
        ...

    async def end_trials(self, ids: Collection[bytes]) -> None:
        """Say that this process lived through it. What is not open any more is cleared."""
        ...

    async def strike(self, ids: Sequence[bytes], error: str) -> dict[bytes, int]:
        """Count a claim that came to nothing; how many there were by now, of those that are still open."""
        ...

    async def bury(self, ids: Sequence[bytes], now_ms: int) -> dict[bytes, str]:
        """Make dead letters of suspects, with their events, in one transaction; the reasons.

        Absent: another worker's lease on it runs, or it is over.
        """
        ...
