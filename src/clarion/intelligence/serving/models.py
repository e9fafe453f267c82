"""The models in force, in memory: swapped as a whole, checked before, and left alone once they are too old."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from clarion.intelligence.models import DEFAULTS, TenantModel
from clarion.intelligence.models.registered import open_artefact
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Permanent
from clarion.kernel.local_time import DAY_MS

STALE_MS: Final = 7 * DAY_MS
"""Age past which a model is not used any more: the defaults, with each user's own history, are then the safer guess."""


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
        self.latest_ms = 0
        """When the latest of them began to serve, UTC ms: what is to be asked for next came after it."""

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

    def oldest_ms(self) -> int:
        """When the oldest model in force was trained, UTC ms; 0 where there is none."""
        return min((model.trained_ms for model in self._models.values()), default=0)

    def take(self, live: Iterable[Live]) -> int:
        """Swap in models whose artefacts are whole; how many there were. Of the others the one before goes on."""
        taken = 0
        for one in live:
            self.latest_ms = max(self.latest_ms, one.live_ms)
            try:
                model = open_artefact(one.artefact, one.checksum)
            except Permanent as error:
                self._tell(one.tenant_id, one.name, error.detail)
                continue
            self._models[one.tenant_id] = model
            taken += 1
        return taken
