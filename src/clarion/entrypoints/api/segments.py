"""Segments: named conditions, their counts, and who is in them."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.audience.model import Member
from clarion.audience.segments import (
    Segment,
    SegmentDefinition,
    define_segment,
    preview_segment,
    refresh_count,
)
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound
from clarion.orchestration.rows import format_time

PAGE: Final = 100
MAX_PAGE: Final = 1000

EXAMPLE: Final = {
    "expression": 'user.plan == "pro" && events.purchase.last_at > ago("30d")',
    "description": "Paying, and still buying",
}
SHOWN: Final = {
    "name": "loyal",
    **EXAMPLE,
    "version": 1,
    "members": 1815,
    "counted_at": "2026-12-01T08:00:00.000Z",
    "counting": None,
    "snapshot_at": None,
    "created_at": "2026-12-01T08:00:00.000Z",
    "updated_at": "2026-12-01T08:00:00.000Z",
}
MEMBER: Final = {"user_id": "ada", "timezone": "Europe/London"}


class Counting(msgspec.Struct, frozen=True):
    """A count or snapshot that waits (0 of 0), or is under way: how many of how many users were looked at."""

    examined: int
    candidates: int


class SegmentView(msgspec.Struct, frozen=True):
    """A segment. `members`: how many users were in it at `counted_at`, null where nobody has counted yet.

    `version` moves with the expression. `snapshot_at`: when its members were listed last.
    """

    name: str
    expression: str
    description: str
    version: int
    members: int | None
    counted_at: str | None
    counting: Counting | None
    snapshot_at: str | None
    created_at: str
    updated_at: str


class SegmentList(msgspec.Struct, frozen=True):
    """Segments by name, as they were counted last. `next_cursor` asks for those after them."""

    segments: list[SegmentView]
    next_cursor: str | None


class SegmentPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page: `cursor` is the `next_cursor` of the one before."""

    cursor: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = PAGE


class MemberView(msgspec.Struct, frozen=True):
    """Somebody who is in a segment. `timezone` is null where it is not known."""

    user_id: str
    timezone: str | None


class MemberList(msgspec.Struct, frozen=True):
    """Who was in the segment at `snapshot_at`, and is still a user. `next_cursor` asks for those after them."""

    snapshot_at: str
    members: list[MemberView]
    next_cursor: str | None


class SegmentPreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/segments/preview`."""

    expression: Annotated[str, Meta(max_length=1000)]


class SegmentPreviewView(msgspec.Struct, frozen=True):
    """What an expression means today.

    `members`: how many users; an estimate where `exact` is false: then `examined` of `candidates` were looked at.
    `sample`: some of them. `unseen`: names in the expression that no user has.
    """

    members: int
    exact: bool
    examined: int
    candidates: int
    sample: list[MemberView]
    unseen: list[str]


_DEFINITION: Final = JsonBody(SegmentDefinition)
_PREVIEW: Final = JsonBody(SegmentPreviewRequest)


@route(
    "PUT /api/v1/segments/{name}",
    Spec(
        tag="segments",
        scope="segments:write",
        body=_DEFINITION,
        answers={200: SegmentView},
        examples={"body": EXAMPLE, "answer": SHOWN},
    ),
)
async def put_segment(call: Call) -> Reply:
    """Make a segment, or replace it.

    `expression` is CEL over `user`, `context`, `features` and `events`. A mistake in it is told with its place and how
    to mend it.
    """
    definition = await call.read(_DEFINITION)
    ports = call.services.gateway.region.segments
    segment = await define_segment(call.tenant_id, call.param("name"), definition, ports)
    return json_reply(_view(await refresh_count(call.tenant_id, segment, ports)))


@route(
    "GET /api/v1/segments/{name}",
    Spec(
        tag="segments",
        scope="segments:read",
        rate="read",
        answers={200: SegmentView},
        examples={"answer": SHOWN},
    ),
)
async def read_segment(call: Call) -> Reply:
    """A segment, with a count that is fresh wherever the store can tell.

    Where each user has to be looked at (ranges over attributes, the context), the last count is given, and a new one
    is begun when it is older than five minutes: `counting` says how far that is.
    """
    ports = call.services.gateway.region.segments
    segment = await _find(call)
    return json_reply(_view(await refresh_count(call.tenant_id, segment, ports)))


@route(
    "GET /api/v1/segments",
    Spec(
        tag="segments",
        scope="segments:read",
        rate="read",
        query=SegmentPage,
        answers={200: SegmentList},
        examples={"answer": {"segments": [SHOWN], "next_cursor": None}},
    ),
)
async def list_segments(call: Call) -> Reply:
    """The segments by name, as they were counted last."""
    wanted = call.query(SegmentPage)
    store = call.services.gateway.region.segments.store
    found = await store.list(call.tenant_id, wanted.cursor, wanted.limit + 1)
    page = found[: wanted.limit]
    cursor = page[-1].name if len(found) > wanted.limit else None
    return json_reply(SegmentList([_view(segment) for segment in page], cursor))


@route("DELETE /api/v1/segments/{name}", Spec(tag="segments", scope="segments:write", answers={204: None}))
async def remove_segment(call: Call) -> Reply:
    """Remove a segment. Broadcasts that were asked for keep the audience that they have."""
    store = call.services.gateway.region.segments.store
    if not await store.delete(call.tenant_id, call.param("name")):
        raise _not_found()
    return Reply(204)


@route(
    "POST /api/v1/segments/preview",
    Spec(
        tag="segments",
        scope="segments:read",
        body=_PREVIEW,
        answers={200: SegmentPreviewView},
        examples={
            "body": {"expression": EXAMPLE["expression"]},
            "answer": {
                "members": 1815,
                "exact": True,
                "examined": 1815,
                "candidates": 1815,
                "sample": [MEMBER],
                "unseen": [],
            },
        },
    ),
)
async def preview(call: Call) -> Reply:
    """How many users meet an expression, and a few of them. Nothing is kept."""
    wanted = await call.read(_PREVIEW)
    ports = call.services.gateway.region.segments
    found = await preview_segment(call.tenant_id, wanted.expression, ports)
    sample = [_member(member) for member in found.sample]
    return json_reply(
        SegmentPreviewView(
            found.members, found.is_exact, found.examined, found.candidates, sample, found.unseen
        )
    )


@route(
    "POST /api/v1/segments/{name}/snapshot",
    Spec(tag="segments", scope="segments:write", answers={202: SegmentView}, examples={"answer": SHOWN}),
)
async def want_snapshot(call: Call) -> Reply:
    """List the members of a segment as they are now, in the background.

    It is done when `snapshot_at` has moved; `GET …/members` then reads the list.
    """
    store = call.services.gateway.region.segments.store
    segment = await _find(call)
    await store.want(call.tenant_id, segment.name)
    return json_reply(_view(await _find(call)), 202)


@route(
    "GET /api/v1/segments/{name}/members",
    Spec(
        tag="segments",
        scope="segments:read",
        rate="read",
        query=SegmentPage,
        answers={200: MemberList},
        examples={
            "answer": {
                "snapshot_at": "2026-12-01T08:00:00.000Z",
                "members": [MEMBER],
                "next_cursor": None,
            }
        },
    ),
)
async def list_members(call: Call) -> Reply:
    """The members of the last snapshot, without those who were deleted since."""
    wanted = call.query(SegmentPage)
    if wanted.cursor and not wanted.cursor.isdecimal():
        raise Invalid("is no cursor: take `next_cursor` of the page before as it is", "cursor")
    segment = await _find(call)
    if not segment.snapshot_ms:
        raise NotFound("there is no snapshot of this segment: POST …/snapshot makes one")
    store = call.services.gateway.region.segments.store
    after = min(int(wanted.cursor or 0), 2**63 - 1)
    found = await store.page_members(call.tenant_id, segment.segment_id, after, wanted.limit + 1)
    page = found[: wanted.limit]
    cursor = str(page[-1].user_id) if len(found) > wanted.limit else None
    return json_reply(MemberList(format_time(segment.snapshot_ms), [_member(m) for m in page], cursor))


async def _find(call: Call) -> Segment:
    store = call.services.gateway.region.segments.store
    segment = await store.find(call.tenant_id, call.param("name"))
    if segment is None:
        raise _not_found()
    return segment


def _not_found() -> NotFound:
    return NotFound("there is no such segment")


def _member(member: Member) -> MemberView:
    return MemberView(member.external_id, member.timezone or None)


def _view(segment: Segment) -> SegmentView:
    return SegmentView(
        name=segment.name,
        expression=segment.expression,
        description=segment.description,
        version=segment.version,
        members=segment.members,
        counted_at=format_time(segment.counted_ms) if segment.counted_ms else None,
        counting=Counting(segment.examined, segment.candidates) if segment.wanted_ms else None,
        snapshot_at=format_time(segment.snapshot_ms) if segment.snapshot_ms else None,
        created_at=format_time(segment.created_ms),
        updated_at=format_time(segment.updated_ms),
    )


ROUTES: Final[tuple[Route, ...]] = (
    put_segment,
    read_segment,
    list_segments,
    remove_segment,
    preview,
    want_snapshot,
    list_members,
)
