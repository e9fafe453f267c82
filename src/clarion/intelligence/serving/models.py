"""The models in force, in memory: swapped as a whole, checked before, and left alone once they are too old."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.models.registered import open_artefact
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MS, MINUTE_MS

STALE_MS: Final = 7 * DAY_MS
"""Age past which a model is not used any more: the defaults, with each user's own history, are then the safer guess."""

OVERLAP_MS: Final = MINUTE_MS
"""How far each look goes back: a promotion has its instant before others see it, and may be seen after a later one."""


class Seen(NamedTuple):
    """What need not be told again: what serves since `after_ms` or before, and of `tenant_ids` since `live_ms`."""

    after_ms: int
    tenant_ids: list[bytes]
    live_ms: list[int]


class Live(Protocol):
    """What began to serve a tenant, as the registry has it."""

    @property
    def tenant_id(self) -> bytes: ...  # noqa: D102  as in the registry
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def artefact(self) -> bytes: ...  # noqa: D102
    @property
    def checksum(self) -> bytes: ...  # noqa: D102
    @property
    def live_ms(self) -> int: ...  # noqa: D102


class CurrentModels:
    """`ModelSource`. `tell`: called with the tenant, the model's name and the reason, of each that was not taken."""

    def __init__(self, clock: Clock, tell: Callable[[bytes, str, str], None]) -> None:
        self._clock = clock
        self._tell = tell
        self._models: dict[bytes, TenantModel] = {}
        self._live_ms: dict[bytes, int] = {}

    def current(self, tenant_id: bytes) -> TenantModel:
        """What serves the tenant; the defaults where nothing was fitted, or it is too old."""
        model = self._models.get(tenant_id)
        if model is None or self.is_stale(tenant_id, self._clock.now_ms()):
            return DEFAULTS
        return model

    def is_stale(self, tenant_id: bytes, now_ms: int) -> bool:
        """Whether the tenant's model is older than a week."""
        model = self._models.get(tenant_id)
        return model is not None and now_ms - model.trained_ms > STALE_MS

    def oldest_ms(self, tenant_ids: Iterable[bytes]) -> int:
        """When the oldest model of these tenants was trained, UTC ms; 0 where there is none.

        Models of others, of a tenant that was deleted since, are here until the process ends and are nobody's.
        """
        found = (self._models.get(tenant_id) for tenant_id in tenant_ids)
        return min((model.trained_ms for model in found if model is not None), default=0)

    def seen(self) -> Seen:
        """What was told already, whole or damaged: the next look is for anything else."""
        after_ms = max(self._live_ms.values(), default=0) - OVERLAP_MS
        recent = {tenant_id: live_ms for tenant_id, live_ms in self._live_ms.items() if live_ms > after_ms}
        return Seen(max(after_ms, 0), list(recent), list(recent.values()))

    def take(self, live: Iterable[Live]) -> int:
        """Swap in models whose artefacts are whole; how many there were. Of the others the one before goes on."""
        taken = 0
        for one in live:
            self._live_ms[one.tenant_id] = one.live_ms
            try:
                model = open_artefact(one.artefact, one.checksum)
            except Permanent as error:
                self._tell(one.tenant_id, one.name, error.detail)
                continue
            self._models[one.tenant_id] = model
            taken += 1
        return taken
