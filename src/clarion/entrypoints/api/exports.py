"""Access and portability: everything that is held about a user, asked for here, gathered by the workers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from clarion.compliance.export import Export, State
from clarion.contracts.commands import Name
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Header, Reply, Zip, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.exporting import exports_of
from clarion.kernel.errors import Conflict, Invalid, NotFound, Unknown
from clarion.kernel.ids import UUID_BYTES, format_id, make_ids, parse_id
from clarion.orchestration.rows import format_time

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

MAX_PAGE: Final = 100
ZIP: Final = b"application/zip"

_LAST_ID: Final = b"\xff" * UUID_BYTES
_ID: Final = "0198f3c2-7d40-7c1e-9a55-3f0c5b2a6d10"


class ExportRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/compliance/exports`: about whom."""

    user_id: Name


class ExportAccepted(msgspec.Struct, frozen=True):
    """The export is durable, and is carried out whatever fails meanwhile."""

    export_id: str


class SourceProgress(msgspec.Struct, frozen=True):
    """What one store gave, by kind of record, and when it was asked."""

    source: str
    records: dict[str, int]
    asked_at: str


class ExportView(msgspec.Struct, frozen=True):
    """An export. `problem`: what it waits for, or why it failed. `size` (bytes) and `sha256`: the archive's.

    `expires_at`: until when the archive can be fetched.
    """

    export_id: str
    user_id: str
    status: State
    requested_at: str
    ended_at: str | None
    expires_at: str | None
    sources: list[SourceProgress]
    problem: str | None
    size: int | None
    sha256: str | None


class ExportList(msgspec.Struct, frozen=True):
    """A page, newest first. `next_cursor` asks for the next one; null: this is the last."""

    exports: list[ExportView]
    next_cursor: str | None


class ExportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /api/v1/compliance/exports`. `cursor`: the `next_cursor` of the page before."""

    cursor: Annotated[str, Meta(max_length=36)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20


_BODY: Final = JsonBody(ExportRequest)


class _Download(Reply):
    """An answer that is sent a part at a time, so that no archive is in memory as a whole."""

    __slots__ = ("_parts",)

    def __init__(self, parts: AsyncIterator[bytes], headers: tuple[Header, ...]) -> None:
        super().__init__(200, headers=headers)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. One that cannot be read on ends short of its length, which its reader notices."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        async for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@route(
    "POST /api/v1/compliance/exports",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_BODY,
        answers={202: ExportAccepted},
        examples={"body": {"user_id": "ada"}, "answer": {"export_id": _ID}},
    ),
)
async def post_export(call: Call) -> Reply:
    """Gather everything that is held about a user, as an archive of JSON and CSV.

    Asked twice while it is under way, it is one export. The archive can be fetched for seven days.
    """
    asked = await call.read(_BODY)
    region = call.services.gateway.region
    fresh = make_ids(1, region.clock.now_ms())
    export_id = await exports_of(region).request(call.tenant_id, fresh, asked.user_id)
    if export_id is None:
        raise Unknown("names an unknown user", "user_id")
    return json_reply(ExportAccepted(format_id(export_id)), 202)


@route(
    "GET /api/v1/compliance/exports/{export_id}",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: ExportView}),
)
async def get_export(call: Call) -> Reply:
    """How far an export is, store by store."""
    return json_reply(_view(await _find(call)))


@route(
    "GET /api/v1/compliance/exports",
    Spec(
        tag="compliance", scope="compliance:read", rate="read", query=ExportQuery, answers={200: ExportList}
    ),
)
async def list_exports(call: Call) -> Reply:
    """All exports, newest first."""
    asked = call.query(ExportQuery)
    before = parse_id(asked.cursor) if asked.cursor else _LAST_ID
    if before is None:
        raise Invalid("is no cursor of this list", "cursor")
    found = await exports_of(call.services.gateway.region).page(call.tenant_id, before, asked.limit)
    cursor = format_id(found[-1].export_id) if len(found) == asked.limit else None
    return json_reply(ExportList([_view(one) for one in found], cursor))


@route(
    "GET /api/v1/compliance/exports/{export_id}/archive",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: Zip}, problems=(409,)),
)
async def get_export_archive(call: Call) -> Reply:
    """The archive: a zip of JSON and CSV files, and a manifest with the hash of each.

    `409` while it is under way, `404` once its days are over or the user is erased.
    """
    export = await _find(call)
    if export.state in {"running", "failed"}:
        problem = f": {export.problem}" if export.problem else ""
        raise Conflict(f"the export is {export.state}{problem}")
    parts = exports_of(call.services.gateway.region).parts(export)
    # The first part now: where it is gone, that can still be said.
    first = await anext(parts, None)
    if export.state != "ready" or first is None:
        raise NotFound("the archive is gone")
    name = f"export-{format_id(export.export_id)}.zip"
    headers = (
        (b"content-type", ZIP),
        (b"content-length", b"%d" % export.size),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    )
    return _Download(_chained(first, parts), headers)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part


async def _find(call: Call) -> Export:
    export_id = parse_id(call.param("export_id"))
    exports = exports_of(call.services.gateway.region)
    found = await exports.read(call.tenant_id, export_id) if export_id else None
    if found is None:
        raise NotFound("there is no such export")
    return found


def _view(export: Export) -> ExportView:
    has_archive = export.size > 0
    return ExportView(
        export_id=format_id(export.export_id),
        user_id=export.external_id,
        status=export.state,
        requested_at=format_time(export.requested_ms),
        ended_at=None if export.ended_ms is None else format_time(export.ended_ms),
        expires_at=None if export.expires_ms is None else format_time(export.expires_ms),
        sources=[SourceProgress(step.source, step.records, format_time(step.at_ms)) for step in export.steps],
        problem=export.problem or None,
        size=export.size if has_archive else None,
        sha256=export.sha256.hex() if has_archive else None,
    )


ROUTES: Final[tuple[Route, ...]] = (post_export, get_export, list_exports, get_export_archive)
