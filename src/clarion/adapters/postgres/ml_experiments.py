"""Experiments of tenants, in the regional database. The one that runs is read with a tenant's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.intelligence.training.ab import LEAST_EFFECT, ExperimentResult
from clarion.intelligence.training.proof import ATTRIBUTION_MS, WAIT_MS
from clarion.kernel.errors import NotFound
from clarion.kernel.local_time import DAY_MS
from clarion.tenancy.model import Arm

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

SHOWN: Final = 200
"""Experiments of a tenant that are listed."""

SETTLED_MS: Final = WAIT_MS + ATTRIBUTION_MS + DAY_MS
"""After its end: what was decided in it is sent within some days, answered within some more, and looked at daily."""

_encode: Final = msgspec.json.Encoder().encode


class Plan(msgspec.Struct, frozen=True):
    """What an experiment compares. `least_effect`: the difference in share of messages answered that matters."""

    arms: tuple[Arm, ...]
    least_effect: float = LEAST_EFFECT


class ExperimentRecord(msgspec.Struct, frozen=True):
    """An experiment. Times are UTC ms; None: not so, or not yet."""

    experiment_id: bytes
    name: str
    plan: Plan
    started_ms: int
    stopped_ms: int | None
    measured_ms: int | None
    result: ExperimentResult | None


_plan: Final = msgspec.json.Decoder(Plan)
_result: Final = msgspec.json.Decoder(ExperimentResult)


class PostgresExperiments:
    """Experiments by tenant, on the database's clock."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_experiments")

    async def create(self, tenant_id: bytes, experiment_id: bytes, name: str, plan: Plan) -> None:
        """Start an experiment. Raises Conflict where one runs, NotFound where there is no such tenant."""
        async with self._pools.pipeline() as connection:
            done = await connection.execute(
                self._sql["create"], tenant_id, experiment_id, name, _encode(plan)
            )
        if done.endswith(" 0"):
            raise NotFound("there is no such tenant")

    async def list(self, tenant_id: bytes) -> list[ExperimentRecord]:
        """The tenant's, latest first, at most `SHOWN`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["list"], tenant_id, SHOWN)
        return [_record(row) for row in rows]

    async def get(self, tenant_id: bytes, experiment_id: bytes) -> ExperimentRecord:
        """One of the tenant's. Raises NotFound."""
        async with self._pools.pipeline() as connection:
            row = await connection.fetchrow(self._sql["fetch"], tenant_id, experiment_id)
        if row is None:
            raise NotFound("there is no such experiment")
        return _record(row)

    async def stop(self, tenant_id: bytes, experiment_id: bytes) -> None:
        """End an experiment: everybody is treated alike from now on. No change to one that has ended."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["stop"], tenant_id, experiment_id)

    async def unsettled(self, tenant_id: bytes) -> list[ExperimentRecord]:
        """Those whose result may change yet."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["unsettled"], tenant_id, SHOWN, SETTLED_MS)
        return [_record(row) for row in rows]

    async def keep(
        self, tenant_id: bytes, experiment_id: bytes, result: ExperimentResult, at_ms: int
    ) -> None:
        """Keep what was measured at an instant (UTC ms)."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["keep"], tenant_id, experiment_id, _encode(result), at_ms)


def _record(row: Any) -> ExperimentRecord:  # noqa: ANN401  a row of any query that selects these columns
    result = row["result"]
    return ExperimentRecord(
        experiment_id=row["experiment_id"],
        name=row["name"],
        plan=_plan.decode(row["plan"]),
        started_ms=row["started_at"],
        stopped_ms=row["stopped_at"],
        measured_ms=row["measured_at"],
        result=None if result is None else _result.decode(result),
    )
