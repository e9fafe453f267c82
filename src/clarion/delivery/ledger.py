"""The ledger: what was promised against what is there. Pure; the counts come from Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec


class DayBalance(msgspec.Struct, frozen=True):
    """One tenant's UTC day: deliveries promised (`accept_batches`) and kept (rows), and whether their ids agree."""

    tenant_id: bytes
    day: date
    promised: int
    kept: int
    same_ids: bool

    @property
    def balanced(self) -> bool:
        """Whether every delivery that was promised is there, and no other."""
        return self.promised == self.kept and self.same_ids


class OpenCount(msgspec.Struct, frozen=True):
    """Open deliveries in all, those not due yet, those overdue without a live lease, and the sends in flight.

    `sending`: attempts that began and are not recorded. Right after a worker's death it is what may arrive twice.
    """

    open: int
    waiting: int
    overdue: int
    sending: int

    @property
    def under_way(self) -> int:
        """Deliveries that are due, or being sent: they should be none after a while."""
        return self.open - self.waiting


class Contradiction(msgspec.Struct, frozen=True):
    """A row that contradicts another."""

    delivery_id: bytes
    status: str
    problem: str


class LedgerReport(msgspec.Struct, frozen=True):
    """The whole account. It is `sound` when promises and rows agree, no row contradicts another, nothing is overdue."""

    balances: list[DayBalance]
    statuses: dict[str, int]
    open: OpenCount
    contradictions: list[Contradiction]

    @property
    def settled(self) -> bool:
        """Whether nothing is under way: what remains open waits for its time."""
        return self.open.under_way == 0

    @property
    def problems(self) -> list[str]:
        """Why it is not sound, one line each; empty where it is."""
        return [
            *_imbalances(self.balances),
            *(f"{c.delivery_id.hex()} ({c.status}): {c.problem}" for c in self.contradictions),
            *(
                [f"{self.open.overdue} deliveries are overdue and nobody holds them"]
                if self.open.overdue
                else []
            ),
        ]

    @property
    def sound(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


def _imbalances(balances: Sequence[DayBalance]) -> list[str]:
    return [
        f"tenant {b.tenant_id.hex()} on {b.day}: {b.promised} deliveries promised, {b.kept} there"
        + ("" if b.same_ids or b.promised != b.kept else ", but not the same ones")
        for b in balances
        if not b.balanced
    ]
