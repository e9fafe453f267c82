"""What came of decisions, and what it proves, in the regional database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from clarion.adapters.postgres.queries import load_queries
from clarion.intelligence.training.lift import Lift
from clarion.intelligence.training.proof import ATTRIBUTION_MS, Outcomes, Proof

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools

_encode: Final = msgspec.json.Encoder().encode
_lift: Final = msgspec.json.Decoder(Lift)


class PostgresProofs:
    """`intelligence.training.proof.Proofs`, on the database's clock."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_proofs")

    async def outcomes(self, tenant_id: bytes, from_ms: int, to_ms: int) -> Outcomes:
        """By user; see `Proofs.outcomes`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["outcomes"], tenant_id, from_ms, to_ms, ATTRIBUTION_MS)
        columns = np.array([tuple(row) for row in rows], np.int64).reshape(-1, 3)
        return Outcomes(columns[:, 0], columns[:, 1], columns[:, 2])

    async def latest(self, tenant_id: bytes) -> list[Proof]:
        """Of each feature; see `Proofs.latest`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["latest"], tenant_id)
        return [
            Proof(row["feature"], row["from_at"], row["to_at"], _lift.decode(row["lift"]), row["returned"])
            for row in rows
        ]

    async def since(self, tenant_id: bytes) -> int:
        """UTC ms; see `Proofs.since`."""
        async with self._pools.pipeline() as connection:
            return int(await connection.fetchval(self._sql["since"], tenant_id) or 0)

    async def keep(self, tenant_id: bytes, proofs: list[Proof]) -> None:
        """In one statement; see `Proofs.keep`."""
        if not proofs:
            return
        async with self._pools.pipeline() as connection:
            await connection.execute(
                self._sql["keep"],
                *(tenant_id, proofs[0].from_ms, proofs[0].to_ms, [proof.feature for proof in proofs]),
                *([_encode(proof.lift) for proof in proofs], [proof.returned for proof in proofs]),
            )

    async def take(self, tenant_id: bytes, every_ms: int) -> bool:
        """Whether it is the caller's; see `Proofs.take`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["take"], tenant_id, every_ms))
