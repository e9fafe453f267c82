"""What was spent, for good: sums by day in `cost_days`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import msgspec

from clarion.adapters.postgres.queries import load_queries
from clarion.delivery.costs import CostKey, CostLine, SpentOn

if TYPE_CHECKING:
    from clarion.adapters.postgres.pools import Pools


class CostSum(msgspec.Struct, frozen=True):
    """Sums of one provider, channel and category over some days."""

    provider: str
    channel: str
    category: str
    sent: int
    segments: int
    micros: int
    mean_micros: int


class PostgresCosts:
    """`delivery.costs.CostStore`, and what reports read."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._sql = load_queries("costs")

    async def add(self, lines: Sequence[CostLine]) -> list[CostLine]:
        """Add to the sums in one transaction; the new sums of the same keys. Raises Transient."""
        if not lines:
            return []
        rows = [_columns(line) for line in sorted(lines, key=lambda line: line.key)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(self._sql["add_costs"], *columns)
        return [
            CostLine(
                CostKey(
                    record["tenant_id"],
                    _number(record["day"]),
                    *(record[name] for name in ("provider", "channel", "category", "country", "is_test")),
                ),
                *(record[name] for name in ("sent", "segments", "micros", "mean_micros", "as_of_us")),
            )
            for record in records
        ]

    async def spent(self, wanted: Sequence[SpentOn]) -> list[int]:
        """What was spent on each, in micros, without tests. Raises Transient."""
        async with self._pools.pipeline() as connection:
            records = await connection.fetch(
                self._sql["spent_on"],
                [one.tenant_id for one in wanted],
                [_date(one.first_day) for one in wanted],
                [one.channel for one in wanted],
                [one.category for one in wanted],
            )
        return [record["micros"] for record in records]

    async def read(self, tenant_id: bytes, days: tuple[date, date], *, is_test: bool) -> list[CostSum]:
        """A tenant's sums from the first to the last of these days. Raises Transient."""
        async with self._pools.reader(tenant_id) as connection:
            records = await connection.fetch(self._sql["read_costs"], tenant_id, *days, is_test)
        return [CostSum(**record) for record in records]


def _columns(line: CostLine) -> tuple[object, ...]:
    key = line.key
    return (
        *(key.tenant_id, _date(key.day), key.provider, key.channel, key.category, key.country, key.is_test),
        *(line.sent, line.segments, line.micros, line.mean_micros),
    )


def _date(day: int) -> date:
    return date(day // 10_000, day // 100 % 100, day % 100)


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
