"""Segments: a name for whoever meets a condition now."""

from __future__ import annotations

import msgspec

from clarion.audience.model import Member


class Segment(msgspec.Struct, frozen=True):
    """A segment as stored. Times are UTC ms, 0 for never.

    `members` were counted at `counted_ms` (None: not yet). `examined` of `candidates` users have been judged by the
    count or snapshot that is under way (0 of 0: none is). `snapshot_ms`: when the membership was kept last.
    """

    segment_id: int
    name: str
    expression: str
    description: str
    version: int
    members: int | None
    counted_ms: int
    wanted_ms: int
    examined: int
    candidates: int
    snapshot_ms: int
    created_ms: int
    updated_ms: int


class Preview(msgspec.Struct, frozen=True):
    """What an expression means today.

    `members`: how many, or, where not `is_exact`, an estimate from `examined` of `candidates` users. `sample`: some
    of them. `unseen`: names that no user of the tenant has.
    """

    members: int
    is_exact: bool
    examined: int
    candidates: int
    sample: list[Member]
    unseen: list[str]


class SnapshotJob(msgspec.Struct, frozen=True):
    """A membership to be kept, held by one worker. `as_of_ms`: when it was begun, by the store's clock."""

    segment_id: int
    tenant_id: bytes
    name: str
    expression: str
    snapshot: int
    as_of_ms: int
