"""The audit log, to be read and taken away."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from clarion.compliance.audit import ActRecord, AuditQuery
from clarion.contracts.commands import AwareTime
from clarion.entrypoints.api.replies import CSV, LINES, Lines, Reply, Table, encode_json, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.orchestration.rows import format_time

MAX_EXPORT: Final = 10_000
"""Acts of one export; `X-Next-Cursor` asks for those before them."""

Filter = Annotated[str, Meta(min_length=1, max_length=500)]


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which acts. `target` is how it begins (`providers/`). `until` is excluded. `cursor`: of the page before."""

    actor: Filter | None = None
    operation: Filter | None = None
    target: Filter | None = None
    from_: AwareTime | None = msgspec.field(default=None, name="from")
    until: AwareTime | None = None
    cursor: Annotated[int, Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class ExportFilter(AuditFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which acts, of one file."""

    limit: Annotated[int, Meta(ge=1, le=MAX_EXPORT)] = MAX_EXPORT


class AuditAct(msgspec.Struct, frozen=True):
    """An act: who did what to what, why, and how it ended.

    `outcome` is `done`, `refused` (nothing happened), `failed` (it may have), or `unknown`: nothing says how it ended.
    `request`, `before` and `after` hold no secrets and no users. `hash` is of its newest entry in the chain.
    """

    number: int
    at: str
    actor: str
    operation: str
    target: str
    outcome: str
    status: int | None
    ended_at: str | None
    reason: str
    ip: str
    request_id: str
    environment: str
    request: Any
    before: Any
    after: Any
    error: str | None
    hash: str


class AuditPage(msgspec.Struct, frozen=True):
    """Acts, newest first. `next_cursor` asks for those before them; null: there are none."""

    acts: list[AuditAct]
    next_cursor: int | None


@route(
    "GET /api/v1/compliance/audit",
    Spec(tag="compliance", scope="audit:read", rate="read", query=AuditFilter, answers={200: AuditPage}),
)
async def search_audit(call: Call) -> Reply:
    """Who administered what, newest first.

    Every act has two entries in a chain of hashes: one before it begins, without which it does not happen, and one
    for its end. `clarion audit verify` says whether any was changed or cut out.
    """
    return json_reply(AuditPage(*await _find(call, call.query(AuditFilter))))


@route(
    "GET /api/v1/compliance/audit.ndjson",
    Spec(tag="compliance", scope="audit:read", rate="read", query=ExportFilter, answers={200: Lines}),
)
async def export_audit_lines(call: Call) -> Reply:
    """The audit log as NDJSON, an act a line, newest first."""
    acts, cursor = await _find(call, call.query(ExportFilter))
    return _file(b"".join(encode_json(act) + b"\n" for act in acts) or b"\n", LINES, cursor)


@route(
    "GET /api/v1/compliance/audit.csv",
    Spec(tag="compliance", scope="audit:read", rate="read", query=ExportFilter, answers={200: Table}),
)
async def export_audit_table(call: Call) -> Reply:
    """The audit log as CSV, an act a row, newest first. No cell is a formula."""
    acts, cursor = await _find(call, call.query(ExportFilter))
    return _file(to_csv(acts).encode(), CSV, cursor)


async def _find(call: Call, wanted: AuditFilter) -> tuple[list[AuditAct], int | None]:
    """A page, and where the next one begins."""
    query = AuditQuery(
        actor=wanted.actor,
        operation=wanted.operation,
        target=wanted.target,
        from_ms=None if wanted.from_ is None else int(wanted.from_.timestamp() * 1000),
        until_ms=None if wanted.until is None else int(wanted.until.timestamp() * 1000),
        before=wanted.cursor or AuditQuery().before,
        limit=wanted.limit + 1,
    )
    found = await call.services.audit.search(call.tenant_id, query)
    page = found[: wanted.limit]
    return [view_of(record) for record in page], page[-1].number if len(found) > wanted.limit else None


def view_of(record: ActRecord) -> AuditAct:
    """An act as it is shown."""
    act, facts, ending = record.act, record.act.facts, record.ending
    status, error = ending.get("status"), ending.get("error")
    return AuditAct(
        number=record.number,
        at=format_time(record.at_ms),
        actor=act.actor,
        operation=act.operation,
        target=act.target,
        outcome=record.outcome,
        status=status if isinstance(status, int) else None,
        ended_at=None if record.ended_ms is None else format_time(record.ended_ms),
        reason=act.reason,
        ip=act.ip,
        request_id=act.request_id,
        environment=str(facts.get("environment", "")),
        request=facts.get("request"),
        before=facts.get("before"),
        after=ending.get("after"),
        error=error if isinstance(error, str) else None,
        hash=record.hash.hex(),
    )


def to_csv(acts: list[AuditAct]) -> str:
    """Acts as CSV with a head (RFC 4180); what is JSON stands as its text."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(AuditAct.__struct_fields__)
    for act in acts:
        writer.writerow([_cell(value) for value in msgspec.structs.astuple(act)])
    return written.getvalue()


def _cell(value: Any) -> str:  # noqa: ANN401  JSON
    """A cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else encode_json(value).decode()
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _file(body: bytes, media: bytes, cursor: int | None) -> Reply:
    headers = () if cursor is None else ((b"x-next-cursor", b"%d" % cursor),)
    return Reply(200, body, headers, media)


ROUTES: Final[tuple[Route, ...]] = (search_audit, export_audit_lines, export_audit_table)
