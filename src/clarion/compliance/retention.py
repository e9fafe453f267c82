"""For how long what is kept: one table, which the record of processing shows and the documentation is held to."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["dropped", "moved", "open", "unbalanced", "absent"]
"""What became of a day of notifications: its partition went; what is not over moved and the rest went; nothing there is
over; its ledger does not balance and nobody drops the evidence; somebody else was first."""


class Kept(msgspec.Struct, frozen=True):
    """A kind of what is stored. `days` None: for as long as `until` says, and not by the calendar."""

    what: str
    days: int | None
    until: str
    personal: bool = True


REGION_DAYS: Final = -1
"""In KEPT: as many as CLARION_RETENTION_DAYS says."""

KEPT: Final = (
    Kept("profile, addresses, devices, attributes", None, "the tenant or an erasure removes the user"),
    Kept(
        "messages with their contents, decisions and attempts",
        REGION_DAYS,
        "their day is over, less by category",
    ),
    Kept(
        "runs of journeys with their timelines",
        REGION_DAYS,
        "they ended; the last of each journey stays as a date",
    ),
    Kept("what runs of journeys know of a user", 1, "the run ended, under the user's own key"),
    Kept("real-time context", 30, "after the last change"),
    Kept("events of users", 30, "after they were received; counts stay with the profile"),
    Kept("devices that nobody uses", 270, "after they were seen last"),
    Kept("answers to repeated requests", 1, "after the first answer, sealed"),
    Kept("what providers call messages", 4, "after the send"),
    Kept("dead letters", 30, "after the delivery died"),
    Kept("archives of exports", 7, "after they were made, under the user's own key"),
    Kept("that an export was asked for", 730, "after it was asked for"),
    Kept("current consent", None, "the user is removed"),
    Kept("proof of consent", None, "the tenant is removed; its evidence ends with the user's key"),
    Kept("addresses that stay silent, as keyed hashes", None, "the user opts in again"),
    Kept("audit log", 2557, "after the act"),
    Kept("what was promised and settled by day", None, "for as long as the ledger is", personal=False),
    Kept("counts of journeys by step and day", None, "for as long as the tenant is", personal=False),
    Kept("costs by day", None, "for as long as the tenant is", personal=False),
)
"""Where the user is erased, all that is personal goes before its time."""


def kept_days(kept: Kept, region_days: int) -> int | None:
    """The days of an entry in a region that keeps messages for so many days."""
    return region_days if kept.days == REGION_DAYS else kept.days
