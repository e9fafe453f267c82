"""How well a provider's account does in a region, as other processes, regions and people are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

BreakerState: TypeAlias = Literal["closed", "open", "half_open"]
BreakerReason: TypeAlias = Literal["", "failures", "credentials"]
"""Why a breaker is not closed: calls failed in a row, or the vendor refused who we say we are."""


class ProviderHealth(msgspec.Struct, frozen=True):
    """One account of a tenant in one region. Times are UTC milliseconds of the region's clock.

    `delivery_rate` (0 to 1): of what was tried lately, the share that the vendor took and did not report as
    undeliverable. `error_rate`: of the calls' messages, the share that failed for the vendor's sake. `p99_ms`: of a
    call. `attempts_per_min`: how much that rests on. `since_ms`: when the breaker came into its state (0: it was always
    closed).
    """

    tenant_id: bytes
    provider: str
    region: str
    state: BreakerState = "closed"
    reason: BreakerReason = ""
    since_ms: int = 0
    delivery_rate: float = 1.0
    error_rate: float = 0.0
    p99_ms: float = 0.0
    attempts_per_min: float = 0.0
    updated_ms: int = 0


class ProviderHealthReader(Protocol):
    """Where the health of accounts is read, in this region and in the others."""

    async def read(self, tenant_id: bytes, provider: str) -> list[ProviderHealth]:
        """The account's health, one entry a region that ever used it, by region. Raises Transient."""
        ...


class ProviderHealthWriter(Protocol):
    """Where a region tells the others."""

    async def publish(self, reports: Sequence[ProviderHealth]) -> None:
        """Replace what was said of these accounts in this region, where it is older. Raises Transient."""
        ...
