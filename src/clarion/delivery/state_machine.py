"""The one table that says which status of a delivery may follow which.

    open        queued ml_scheduled scheduled deferred   →   sending ⇄ retrying
    no send     blocked expired cancelled unknown            what we decided, or could not find out
    evidence    sent → failed → delivered → engaged          what a provider said

A status is replaced only by one of a higher rank, so late, repeated and reordered news cannot turn anything back:
`delivered` never becomes `sent` or `failed` again. Statuses of the same rank exclude one another once the delivery is
over (what expired is not cancelled afterwards); before that they alternate. Evidence beats decisions: an attempt whose
answer got lost may have been `unknown`, or `expired` after its retries, until a receipt tells what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from clarion.contracts.statuses import Status

_WAITING: Final = 10
_UNDER_WAY: Final = 20
_DECIDED: Final = 30

RANK: Final[dict[Status, int]] = {
    "queued": _WAITING,
    "ml_scheduled": _WAITING,
    "scheduled": _WAITING,
    "deferred": _WAITING,
    "sending": _UNDER_WAY,
    "retrying": _UNDER_WAY,
    "blocked": _DECIDED,
    "expired": _DECIDED,
    "cancelled": _DECIDED,
    "unknown": _DECIDED,
    "sent": 40,
    "failed": 50,
    "delivered": 60,
    "engaged": 70,
}
"""Strength of each status as evidence. Gaps leave room for statuses to come."""

_PROGRESS: Final[tuple[Status, ...]] = (
    "blocked",
    "cancelled",
    "expired",
    "failed",
    "unknown",
    "deferred",
    "scheduled",
    "ml_scheduled",
    "queued",
    "retrying",
    "sending",
    "sent",
    "delivered",
    "engaged",
)
"""From the least to the most advanced, as a notification reports its deliveries.

Other than `RANK`, which weighs news about one delivery: where one channel failed and another is still queued, the
notification is `queued`, for it may yet arrive.
"""

_PROGRESS_OF: Final = {status: place for place, status in enumerate(_PROGRESS)}


def advance(current: Status, incoming: Status) -> Status | None:
    """The status after news of `incoming`; None where the delivery stays as it is.

    Idempotent and never backwards. News of `sent`, `failed`, `delivered` and `engaged` may come in any order and any
    number of times: the result is the same.
    """
    rank, held = RANK[incoming], RANK[current]
    if rank > held:
        return incoming
    is_open = held < _DECIDED
    return incoming if is_open and rank == held and incoming != current else None


def notification_status(deliveries: Iterable[Status]) -> Status:
    """The status of a notification: that of its most advanced delivery, so `blocked` only if all are.

    Raises ValueError where there is no delivery (each notification has at least one, with channel `none`).
    """
    return max(deliveries, key=_PROGRESS_OF.__getitem__)


def progress_order() -> list[str]:
    """All statuses, from the least to the most advanced: `notification_status` as SQL has it, by `array_position`."""
    return list(_PROGRESS)


def rank_case(column: str) -> str:
    """A SQL expression for the rank of the status in `column` (a column's name, never a user's text).

    So that a query written by hand compares as `advance` does:
    `UPDATE … WHERE {rank_case("t.status")} > {rank_case("n.status")}`.
    """
    cases = " ".join(f"WHEN '{status}' THEN {rank}" for status, rank in RANK.items())
    return f"CASE {column} {cases} END"


def rank_arrays() -> tuple[list[str], list[int]]:
    """`RANK` as two parallel arrays, for `unnest($1::text[], $2::int[])`."""
    return list(RANK), list(RANK.values())
