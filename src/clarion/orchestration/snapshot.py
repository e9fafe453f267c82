"""The snapshot: who belongs to a broadcast's audience, fixed in chunks before anything is sent.

Each page of the audience is written with the cursor behind it in one transaction, and only from the place where it was
read: a worker that dies leaves no gap, and of two workers at the same place one writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from clarion.audience.model import Member, ResolvedSegment
from clarion.audience.ports import AudienceReader
from clarion.kernel.errors import Permanent
from clarion.orchestration.broadcasts import Source, Timing, local_ms
from clarion.orchestration.chunks import UNKNOWN_USER

PAGE: Final = 5_000
"""Members that are read and written at a time."""

SHORT_PAGES: Final = 20
"""Pages of a segment that are read before what they had is written, however little it is."""


class Collecting(msgspec.Struct, frozen=True):
    """A snapshot on its way. `cursor`: the last user's number, or how many pages of a list are done."""

    broadcast_id: bytes
    tenant_id: bytes
    source: Source
    timing: Timing
    cursor: int
    chunk_size: int
    chunks: int


class ChunkDraft(msgspec.Struct, frozen=True):
    """A chunk as it is written. `refused`: why its members are no users, "" for those who are."""

    due_ms: int
    names: list[str]
    refused: str = ""


class Page(msgspec.Struct, frozen=True):
    """Part of an audience: its users, names that are nobody's, and the cursor behind it."""

    members: list[Member]
    strangers: list[str]
    cursor: int
    is_last: bool


class Roll(Protocol):
    """Users as broadcasts name them without a segment."""

    async def page_all(self, tenant_id: bytes, after_user_id: int, limit: int) -> list[Member]:
        """The tenant's users by rising number, at most `limit`; a shorter list is the end."""
        ...

    async def page_list(self, broadcast_id: bytes, page: int) -> Page:
        """One page of a broadcast's list; the end is a page without names."""
        ...


class SnapshotStore(Protocol):
    """Where snapshots are kept."""

    async def append(self, collecting: Collecting, page: Page, chunks: Sequence[ChunkDraft]) -> bool:
        """Write chunks and move the cursor behind `page`, in one transaction; with the last page the sending begins.

        False: somebody else moved the cursor first, or the broadcast was cancelled; nothing was written.
        """
        ...

    async def fail(self, broadcast_id: bytes, reason: str) -> None:
        """End a broadcast that gets no audience."""
        ...


class SnapshotPorts(msgspec.Struct, frozen=True):
    """The outside, as collecting uses it."""

    store: SnapshotStore
    roll: Roll
    segments: AudienceReader


async def collect(collecting: Collecting, timezone: str, ports: SnapshotPorts) -> bool:
    """Take the snapshot one page further. False: it was somebody else's page.

    `timezone`: of users whose own is unknown. A segment that cannot be evaluated ends the broadcast. Raises Transient.
    """
    try:
        page = await _read(collecting, ports)
    except Permanent as error:
        await ports.store.fail(collecting.broadcast_id, error.detail)
        return True
    return await ports.store.append(collecting, page, cut(collecting, page, timezone))


async def _read(collecting: Collecting, ports: SnapshotPorts) -> Page:
    after, source = collecting.cursor, collecting.source
    match source.kind:
        case "list":
            return await ports.roll.page_list(collecting.broadcast_id, after)
        case "all":
            members = await ports.roll.page_all(collecting.tenant_id, after, PAGE)
            return Page(members, [], members[-1].user_id if members else after, len(members) < PAGE)
        case "segment":
            if source.segment is None:
                raise Permanent("this broadcast names no segment")
            return await _read_segment(collecting, source.segment, ports.segments)


async def _read_segment(collecting: Collecting, segment: ResolvedSegment, segments: AudienceReader) -> Page:
    """At least a chunk's worth of members, as far as a few pages have them: some pages are short."""
    members: list[Member] = []
    after = collecting.cursor
    for _ in range(SHORT_PAGES):
        found = await segments.page(collecting.tenant_id, segment, after, PAGE)
        if not found:
            return Page(members, [], after, is_last=True)
        members += found
        after = found[-1].user_id
        if len(members) >= collecting.chunk_size:
            break
    return Page(members, [], after, is_last=False)


def cut(collecting: Collecting, page: Page, timezone: str) -> list[ChunkDraft]:
    """The chunks of a page: members who are due at the same instant, at most `chunk_size` of them."""
    due: dict[int, list[str]] = {}
    instants: dict[str, int] = {}
    for member in page.members:
        zone = member.timezone or timezone
        due_ms = instants.get(zone)
        if due_ms is None:
            due_ms = instants[zone] = _due_ms(collecting.timing, zone)
        due.setdefault(due_ms, []).append(member.external_id)
    size = collecting.chunk_size
    drafts = [
        ChunkDraft(due_ms, names[start : start + size])
        for due_ms, names in sorted(due.items())
        for start in range(0, len(names), size)
    ]
    strangers = page.strangers
    drafts += [
        ChunkDraft(0, strangers[start : start + size], UNKNOWN_USER)
        for start in range(0, len(strangers), size)
    ]
    return drafts


def _due_ms(timing: Timing, zone: str) -> int:
    return timing.at_ms if timing.local is None else local_ms(timing.local, zone)
