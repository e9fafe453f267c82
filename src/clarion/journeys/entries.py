"""Entries that nobody asks for: who came into a segment, whose date has come, and schedules for a segment's members.

Each is worked off in rounds over users by rising number, a page at a time; the cursor behind a page is kept after its
users have entered. A worker that dies lets the last page enter once more, under the keys that it had: nothing happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from clarion.audience.model import Member, ResolvedSegment
from clarion.audience.ports import AudienceReader
from clarion.journeys.graph import PROFILE, Entry, Graph
from clarion.journeys.occasions import date_within, last_time
from clarion.journeys.ports import JourneyRecord
from clarion.journeys.trigger import Begun, EntryAsk, TriggerPorts, stub_run, trigger
from clarion.kernel.errors import NotFound, Permanent, Transient
from clarion.kernel.ids import format_id
from clarion.kernel.local_time import DAY_MS
from clarion.orchestration.ports import ConfigSource

CLOCKED: Final = frozenset({"segment", "schedule", "date"})
PAGE: Final = 500
SEGMENT_EVERY_MS: Final = 10_000
"""How often it is looked who came into a segment, unless a round over a large one takes longer."""

DATE_EVERY_MS: Final = 600_000
"""How late a date may be noticed: a round opens the profile of every user who may enter."""

MISSED_MS: Final = DAY_MS
"""A time that was missed longer ago (all workers were down, the journey was stopped) is not made up for."""

_END: Final = (1 << 63) - 1
_EVERYBODY: Final = "true"


class Cursor(msgspec.Struct, frozen=True):
    """How far a journey's rounds are.

    `done_ms`: the last finished one (-1: none yet). `round_ms`: the one under way (0: none), over users up to `after`.
    """

    done_ms: int = -1
    round_ms: int = 0
    after: int = 0


class RoundStore(Protocol):
    """A region's journeys, and how far the rounds are of those that begin of themselves."""

    async def journeys(self) -> Sequence[JourneyRecord]:
        """Journeys of the region's tenants that take users in. Raises Transient."""
        ...

    async def cursors(self, keys: Sequence[tuple[bytes, str]]) -> Mapping[tuple[bytes, str], Cursor]:
        """Cursors by (journey, name); absent where there is none. Raises Transient."""
        ...

    async def save(self, journey_id: bytes, name: str, cursor: Cursor) -> None:
        """Keep a cursor. Raises Transient."""
        ...

    async def lease(self, journey_id: bytes, now_ms: int, until_ms: int) -> bool:
        """Work on a journey alone until then. False: somebody does. It saves work; nothing depends on it."""
        ...


class MembershipStore(Protocol):
    """Who was in a segment when a journey last looked."""

    async def strangers(
        self, tenant_id: bytes, watch: tuple[bytes, str], user_ids: Sequence[int]
    ) -> set[int]:
        """Those of the users whom this watch, (journey, segment), did not see there. Raises Transient."""
        ...

    async def keep(
        self, tenant_id: bytes, watch: tuple[bytes, str], span: tuple[int, int], user_ids: Sequence[int]
    ) -> None:
        """Of users in (after, up to], these are there, and no others. Raises Transient."""
        ...


class RoundPorts(msgspec.Struct, frozen=True):
    """The outside, as rounds use it."""

    rounds: RoundStore
    members: MembershipStore
    audience: AudienceReader
    configs: ConfigSource
    entry: TriggerPorts


class Watched(msgspec.Struct, frozen=True):
    """A journey with its live version."""

    record: JourneyRecord
    graph: Graph

    @property
    def name(self) -> str:
        """The name of its cursor: another segment is looked at for the first time."""
        entry = self.graph.entry
        return f"{entry.kind}:{entry.segment}" if entry.kind == "segment" else entry.kind


async def find_watched(ports: RoundPorts) -> list[Watched]:
    """The region's journeys that begin of themselves. Raises Transient."""
    records = await ports.rounds.journeys()
    graphs = await ports.entry.catalog.graphs([(one.journey_id, one.live_version) for one in records])
    return [
        Watched(record, graph)
        for record in records
        if (graph := graphs.get((record.journey_id, record.live_version))) is not None
        and graph.entry.kind in CLOCKED
    ]


async def find_due(watched: Sequence[Watched], ports: RoundPorts) -> list[tuple[Watched, Cursor]]:
    """Those that have a round to begin or to go on with, each with that round's cursor. Raises Transient."""
    cursors = await ports.rounds.cursors([(one.record.journey_id, one.name) for one in watched])
    now_ms = ports.entry.clock.now_ms()
    due: list[tuple[Watched, Cursor]] = []
    for one in watched:
        cursor = cursors.get((one.record.journey_id, one.name), Cursor())
        zone = (await ports.configs.get(one.record.tenant_id)).tenant.timezone
        begun = begin_round(one.graph.entry, cursor, now_ms, zone)
        if begun is not None:
            due.append((one, begun))
    return due


def begin_round(entry: Entry, cursor: Cursor, now_ms: int, timezone: str) -> Cursor | None:
    """The cursor of the round that is to be worked on, or None. `timezone`: the tenant's, where the journey has none.

    A first look takes nobody: of a segment it notes who is there, else it notes the time (a round of 0).
    """
    if cursor.round_ms:
        return cursor
    if cursor.done_ms < 0:
        return Cursor(-1, now_ms) if entry.kind == "segment" else Cursor(now_ms)
    since_ms = max(cursor.done_ms, now_ms - MISSED_MS)
    if entry.kind == "schedule":
        at_ms = last_time(entry.cron, entry.timezone or timezone, since_ms, now_ms)
        return None if at_ms is None else Cursor(since_ms, at_ms)
    every_ms = SEGMENT_EVERY_MS if entry.kind == "segment" else DATE_EVERY_MS
    return Cursor(since_ms, now_ms) if now_ms - cursor.done_ms >= every_ms else None


async def work_off(watched: Watched, cursor: Cursor, ports: RoundPorts) -> Cursor:
    """Let one page of a round's users in; the cursor behind it, kept. Raises Transient."""
    if cursor.round_ms:
        members = await _page(watched, cursor, ports)
        if watched.graph.entry.kind == "segment":
            await _enter_segment(watched, cursor, members, ports)
        else:
            await _enter(watched, await _whose(watched, cursor, members, ports), ports)
        cursor = (
            Cursor(cursor.done_ms, cursor.round_ms, members[-1].user_id)
            if members
            else Cursor(cursor.round_ms)
        )
    await ports.rounds.save(watched.record.journey_id, watched.name, cursor)
    return cursor


async def _page(watched: Watched, cursor: Cursor, ports: RoundPorts) -> list[Member]:
    """The next users who may be meant; none: the end, or there is no such segment (any more)."""
    entry, tenant_id = watched.graph.entry, watched.record.tenant_id
    name = entry.segment or entry.audience_segment
    if not name and entry.kind != "date":
        return []
    try:
        segment = (
            await ports.audience.resolve(tenant_id, name)
            if name
            else ResolvedSegment("", _EVERYBODY, cursor.round_ms)
        )
        return await ports.audience.page(tenant_id, segment, cursor.after, PAGE)
    except (NotFound, Permanent):
        return []


async def _enter_segment(
    watched: Watched, cursor: Cursor, members: Sequence[Member], ports: RoundPorts
) -> None:
    """Let in who was not there at the last look, then note who is there now."""
    record, segment = watched.record, watched.graph.entry.segment
    user_ids = [one.user_id for one in members]
    key = (record.journey_id, segment)
    if cursor.done_ms >= 0 and user_ids:
        strangers = await ports.members.strangers(record.tenant_id, key, user_ids)
        await _enter(
            watched, {user_id: cursor.round_ms for user_id in user_ids if user_id in strangers}, ports
        )
    last = user_ids[-1] if user_ids else _END
    await ports.members.keep(record.tenant_id, key, (cursor.after, last), user_ids)


async def _whose(
    watched: Watched, cursor: Cursor, members: Sequence[Member], ports: RoundPorts
) -> dict[int, int]:
    """Whose time it is, by user: of a schedule everybody's, of a date those whose date it is."""
    entry = watched.graph.entry
    if entry.kind == "schedule" or entry.date is None:
        return {one.user_id: cursor.round_ms for one in members}
    runs = [stub_run(watched.record, one.user_id, ports.entry.region) for one in members]
    facts = await ports.entry.facts.read([(run, watched.graph, PROFILE) for run in runs])
    span = (cursor.done_ms, cursor.round_ms)
    whose: dict[int, int] = {}
    for one, known in zip(members, facts, strict=True):
        if known.missing:
            raise Transient("what is known of the users could not be read")
        at_ms = date_within(entry.date, {"user": known.user}, known.timezone, span, yearly=entry.yearly)
        if at_ms is not None:
            whose[one.user_id] = at_ms
    return whose


async def _enter(watched: Watched, whose: Mapping[int, int], ports: RoundPorts) -> int:
    """Let users in, each for an occasion (UTC ms) that counts once; how many runs began."""
    if not whose:
        return 0
    record, kind = watched.record, watched.graph.entry.kind
    asks = [
        EntryAsk(
            tenant_id=record.tenant_id,
            journey=format_id(record.journey_id),
            user_id=user_id,
            entry_key=hashlib.blake2b(b"%b:%d" % (kind.encode(), at_ms), digest_size=16).digest(),
        )
        for user_id, at_ms in whose.items()
    ]
    return sum(isinstance(result, Begun) and result.created for result in await trigger(asks, ports.entry))
