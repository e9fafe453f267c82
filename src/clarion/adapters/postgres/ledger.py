"""The ledger's questions to Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.ledger import Contradiction, DayBalance, LedgerReport, OpenCount

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class PostgresLedger:
    """Reads what was promised and what became of it, over all tenants."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("ledger")

    async def report(self, grace_s: float) -> LedgerReport:
        """The whole account as of one instant; overdue: due more than `grace_s` seconds ago, and nobody holds it."""
        async with (
            self._pools.pipeline() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            balances = await connection.fetch(self._sql["compare_promises"])
            statuses = await connection.fetch(self._sql["count_statuses"])
            (opened,) = await connection.fetch(self._sql["count_open"], grace_s)
            contradictions = await connection.fetch(self._sql["find_contradictions"])
        return LedgerReport(
            balances=[DayBalance(*record.values()) for record in balances],
            statuses={record["status"]: record["deliveries"] for record in statuses},
            open=OpenCount(*opened.values()),
            contradictions=[Contradiction(*record.values()) for record in contradictions],
        )
