"""What came of decisions, and what it proves, in the regional database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from clarion.adapters.postgres.queries import load_queries
from clarion.intelligence.training.lift import Lift
from clarion.intelligence.training.policies import MOST_DECISIONS, Decisions, PolicyReport, Trials
from clarion.intelligence.training.proof import (
    ATTRIBUTION_MS,
    WINDOW_MS,
    Answers,
    Outcomes,
    Proof,
    rates_before,
)
from clarion.kernel.local_time import IntArray
from clarion.orchestration.model import Tried

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from asyncpg.pool import PoolConnectionProxy

    from clarion.adapters.postgres.pools import Pools

    FloatArray = npt.NDArray[np.float64]

_encode: Final = msgspec.json.Encoder().encode
_lift: Final = msgspec.json.Decoder(Lift)
_tried: Final = msgspec.json.Decoder(Tried)
_report: Final = msgspec.json.Decoder(PolicyReport)
_EVEN_ODDS: Final = 0.5


class PostgresProofs:
    """`intelligence.training.proof.Proofs`, on the database's clock."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ml_proofs")

    async def outcomes(self, tenant_id: bytes, from_ms: int, to_ms: int) -> Outcomes:
        """By user; see `Proofs.outcomes`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["outcomes"], tenant_id, from_ms, to_ms, ATTRIBUTION_MS)
            columns = _integers(rows, 4)
            before = await self._before(connection, tenant_id, columns[:, 0])
        return Outcomes(columns[:, 1], columns[:, 2], columns[:, 3], before)

    async def _before(
        self, connection: PoolConnectionProxy, tenant_id: bytes, users: IntArray
    ) -> FloatArray | None:
        """Share of her messages that each user (sorted) answered before anybody was held out; None: no such time."""
        from_ms = await connection.fetchval(self._sql["begin"], tenant_id)
        if from_ms is None or not users.size:
            return None
        span = (tenant_id, from_ms - WINDOW_MS, from_ms, ATTRIBUTION_MS)
        return rates_before(users, _integers(await connection.fetch(self._sql["answers"], *span), 3))

    async def answers(self, tenant_id: bytes, from_ms: int, to_ms: int) -> Answers:
        """What came of messages that were decided from one instant to another, and sent, by user. Raises Transient."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["answers"], tenant_id, from_ms, to_ms, ATTRIBUTION_MS)
        columns = _integers(rows, 3)
        return Answers(columns[:, 0], columns[:, 1], columns[:, 2])

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
            begun_ms = await connection.fetchval(self._sql["begin"], tenant_id)
            returned_ms = await connection.fetchval(self._sql["since"], tenant_id)
        return max(begun_ms or 0, returned_ms or 0)

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

    async def due(self, tenant_ids: Sequence[bytes], every_ms: int) -> list[bytes]:
        """Those that are due, in one query; see `Proofs.due`."""
        async with self._pools.pipeline() as connection:
            rows = await connection.fetch(self._sql["due"], tenant_ids, every_ms)
        return [row["tenant_id"] for row in rows]

    async def take(self, tenant_id: bytes, every_ms: int, lease_ms: int) -> bool:
        """Whether it is the caller's; see `Proofs.take`."""
        async with self._pools.pipeline() as connection:
            return bool(await connection.fetchval(self._sql["take"], tenant_id, every_ms, lease_ms))

    async def end(self, tenant_id: bytes) -> None:
        """It is done; see `Proofs.end`."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["end"], tenant_id)

    async def decisions(self, tenant_id: bytes, from_ms: int, to_ms: int) -> Decisions:
        """The latest messages of a span that might have tried something, at most `MOST_DECISIONS`. Raises Transient.

        What tried before odds were kept is left out; so are users who are held out, tests, and what was never sent.
        """
        span = (tenant_id, from_ms, to_ms, ATTRIBUTION_MS, MOST_DECISIONS)
        async with self._pools.pipeline() as connection:
            return _decisions(await connection.fetch(self._sql["decisions"], *span))

    async def keep_policies(self, tenant_id: bytes, window: tuple[int, int], report: PolicyReport) -> None:
        """Keep what other policies would bring as the latest finding. Raises Transient."""
        async with self._pools.pipeline() as connection:
            await connection.execute(self._sql["keep_policies"], tenant_id, *window, _encode(report))

    async def policies(self, tenant_id: bytes) -> tuple[int, int, PolicyReport] | None:
        """The latest finding, and of messages from when to when (UTC ms). Raises Transient."""
        async with self._pools.pipeline() as connection:
            row = await connection.fetchrow(self._sql["policies"], tenant_id)
        return None if row is None else (row["from_at"], row["to_at"], _report.decode(row["report"]))


def _decisions(rows: Sequence[Any]) -> Decisions:
    tried = [(place, row, _tried.decode(row["tried"])) for place, row in enumerate(rows) if row["explored"]]
    propensity = np.array([row["propensity"] for row in rows], np.float64)
    explored = np.array([row["explored"] for row in rows], np.bool_)
    odds = [found for _, _, found in tried]
    return Decisions(
        users=np.array([row["user_id"] for row in rows], np.int64),
        answered=np.array([row["answered"] for row in rows], np.float64),
        propensity=propensity,
        # At most half is tried, so that what is as probable as that is the best.
        is_best=~explored | (propensity > _EVEN_ODDS),
        score=np.array([row["score"] for row in rows], np.float64),
        trials=Trials(
            row=np.array([place for place, _, _ in tried], np.int64),
            channels=np.array([found.channels for found in odds], np.float64),
            bands=np.array([found.bands for found in odds], np.float64),
            soon=np.array([found.soon for found in odds], np.float64),
            channel=np.array([row["channel"] for _, row, _ in tried], np.int64),
            band=np.array([found.band for found in odds], np.int64),
            was_soon=np.array([found.was_soon for found in odds], np.bool_),
        ),
    )


def _integers(rows: Sequence[Any], columns: int) -> IntArray:
    return np.array([tuple(row) for row in rows], np.int64).reshape(-1, columns)
