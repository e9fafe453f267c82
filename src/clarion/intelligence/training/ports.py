"""Where models are kept, and who trains them now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from clarion.intelligence.models import TenantModel
from clarion.intelligence.models.registered import Metrics, Registered


class Training(msgspec.Struct, frozen=True):
    """How a tenant's training stands. `asked`: one is to come. `ended_ms`: the last one's end, 0: there was none.

    `failures`: how many failed in a row; `retry_ms`: when it is tried again, 0 where none failed. `holder`: who trains
    while it is `running`, in words. Times are UTC ms.
    """

    asked: bool = False
    running: bool = False
    ended_ms: int = 0
    outcome: str = ""
    holder: str = ""
    failures: int = 0
    retry_ms: int = 0


class Registry(Protocol):
    """Versions of tenants' models."""

    async def models(self, tenant_id: bytes, most: int) -> list[Registered]:
        """The latest versions, newest first. Raises Transient."""
        ...

    async def open(self, tenant_id: bytes, name: str) -> TenantModel:
        """One of them. Raises NotFound, Permanent where its artefact is damaged, Transient."""
        ...

    async def add(self, tenant_id: bytes, model: TenantModel, parent: str, metrics: Metrics) -> Registered:
        """Keep a fitted model as a shadow, under the next free name (`eb-7`). Raises Transient."""
        ...

    async def promote(self, tenant_id: bytes, name: str, reason: str, *, held: bool = False) -> None:
        """Let a version serve, whatever its status, and retire the one before it. Raises NotFound, Transient.

        `held`: a person chose it, and training does not take it back unless another one is surely better.
        """
        ...

    async def refuse(self, tenant_id: bytes, name: str, reason: str) -> None:
        """Say that a version will not serve. Raises Transient."""
        ...


class Runs(Protocol):
    """A book of trainings that somebody else keeps. Nothing is read from it: the registry is the truth."""

    async def record(self, tenant: str, model: Registered) -> None:
        """Write down a training of a tenant (its id) that has ended. Raises Transient, Permanent."""
        ...


class Schedule(Protocol):
    """Whose models are due, and who fits them."""

    async def ask(self, tenant_id: bytes) -> None:
        """Have a tenant's models fitted soon. Raises Transient."""
        ...

    async def due(self, tenant_ids: Sequence[bytes], before_ms: int) -> list[bytes]:
        """Those of these tenants that are due, in order; `take` decides who has them. Raises Transient.

        Due is who was asked for, and whose last training ended before `before_ms`, UTC.
        """
        ...

    async def take(self, tenant_id: bytes, before_ms: int | None, lease_ms: int) -> bool:
        """Whether it is due and nobody else has it: then it is the caller's for `lease_ms`. Raises Transient.

        Without `before_ms` it is due whenever nobody has it, though it failed a minute ago.
        """
        ...

    async def renew(self, tenant_id: bytes, lease_ms: int) -> bool:
        """Whether it still is the caller's: then for `lease_ms` from now. Raises Transient."""
        ...

    async def end(self, tenant_id: bytes, began_ms: int, outcome: str) -> None:
        """It is done; what was asked for since `began_ms` stays due. Not where it is another's. Raises Transient."""
        ...

    async def put_off(self, tenant_id: bytes, for_ms: int, outcome: str) -> None:
        """It failed once more; nobody tries again for a while, unless asked to. As `end`. Raises Transient."""
        ...

    async def show(self, tenant_id: bytes) -> Training:
        """How it stands. Raises Transient."""
        ...


class Watch(Protocol):
    """Whose users are to be looked at for drift."""

    async def due(self, tenant_ids: Sequence[bytes], every_ms: int) -> list[bytes]:
        """Those of these tenants at whom nobody looked for so long, nor looks now, in order. Raises Transient."""
        ...

    async def take(self, tenant_id: bytes, every_ms: int, lease_ms: int) -> bool:
        """Whether it still is time to look; if so, it is the caller's for `lease_ms`. Raises Transient."""
        ...

    async def end(self, tenant_id: bytes) -> None:
        """She has looked. Without it the tenant is somebody's again when the lease ends. Raises Transient."""
        ...
