"""What one dispatch works with: its ports, what it has of a claim, and what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec

from clarion.delivery.circuit import CircuitKey
from clarion.delivery.circuits import Circuits
from clarion.delivery.claimed import Claimed
from clarion.delivery.conclude import Closing
from clarion.delivery.gates import Gates
from clarion.delivery.model import Job, Message
from clarion.delivery.pacing import Pacing
from clarion.delivery.ports import (
    CapRequest,
    Composer,
    ConsentReader,
    DeadDevices,
    DeliveryStore,
    Policies,
    ProviderPool,
    Reservations,
    Watcher,
    WorkSource,
)
from clarion.delivery.ranking import Note
from clarion.delivery.router import Router
from clarion.delivery.till import Till
from clarion.kernel.clock import Clock
from clarion.tenancy.config import ProviderConfig, TenantConfig


class DispatchPorts(msgspec.Struct, frozen=True):
    """The outside, as dispatching uses it. `random` gives [0, 1); `pause` waits that many seconds.

    Once `stopping` says so no further portion is begun: the rest of what was claimed is given back.
    """

    store: DeliveryStore
    queue: WorkSource
    consents: ConsentReader
    allowances: Reservations
    composer: Composer
    policies: Policies
    providers: ProviderPool
    circuits: Circuits
    router: Router
    gates: Gates
    clock: Clock
    random: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    watcher: Watcher
    stopping: Callable[[], bool]
    lease_ms: int
    dead_devices: DeadDevices
    till: Till = msgspec.field(default_factory=Till)
    pacing: Pacing = msgspec.field(default_factory=Pacing)


class Report(msgspec.Struct):
    """What one dispatch came to, for metrics: counts by (provider kind, outcome) and by (channel, status).

    `fenced` counts outcomes that were refused because another worker had taken the delivery over.
    """

    attempts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter[tuple[str, str]])
    conclusions: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter[tuple[str, str]])
    fenced: int = 0
    closed: list[Closing] = []


class Ready(msgspec.Struct, frozen=True):
    """A job that may go now, with its message and the allowances reserved for it.

    Once it is routed, `destination` is where it goes, and `note` why through its account; both empty without a choice.
    """

    job: Job
    config: TenantConfig
    message: Message
    caps: list[CapRequest]
    destination: str = ""
    note: Note | None = None


class Group(msgspec.Struct, frozen=True):
    """Jobs for one account. `probing`: its breaker was not closed when it let them through."""

    account: ProviderConfig
    ready: list[Ready]
    probing: bool

    @property
    def key(self) -> CircuitKey:
        """The account's name in the world."""
        return (self.account.tenant_id, self.account.name)


class Run(msgspec.Struct, frozen=True):
    """One dispatch on its way: what it may use, the items it has to account for, and the account."""

    ports: DispatchPorts
    claimed: Claimed
    report: Report
