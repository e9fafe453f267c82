"""Erasure of users: asked for here, carried out by the workers, proven by a certificate."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from clarion.compliance.erasure import Erasure, ErasureRequest, subject_hash
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound, Unknown
from clarion.kernel.ids import UUID_BYTES, format_id, make_ids, parse_id
from clarion.orchestration.rows import format_time

MAX_PAGE: Final = 100
_LAST_ID: Final = b"\xff" * UUID_BYTES

State = Literal["pending", "running", "completed"]


class ErasureAccepted(msgspec.Struct, frozen=True):
    """The erasure is durable, and is carried out whatever fails meanwhile."""

    erasure_id: str


class StoreProgress(msgspec.Struct, frozen=True):
    """What one store gave up so far, by kind, and when it was last asked."""

    target: str
    removed: dict[str, int]
    last_asked_at: str


class ErasureView(msgspec.Struct, frozen=True):
    """An erasure. `subject`: keyed hash of the user's id, which is not kept. `rounds`: how often all stores were asked.

    `problem`: why it does not go on at present. `certificate`: once it is completed; `clarion erase verify` checks it.
    """

    erasure_id: str
    status: State
    subject: str
    origin: Literal["request", "restore"]
    requested_at: str
    completed_at: str | None
    rounds: int
    stores: list[StoreProgress]
    problem: str | None
    certificate: dict[str, Any] | None


class ErasureList(msgspec.Struct, frozen=True):
    """A page, newest first. `next_cursor` asks for the next one; null: this is the last."""

    erasures: list[ErasureView]
    next_cursor: str | None


class ErasureQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of `GET /api/v1/compliance/erasures`. `cursor`: the `next_cursor` of the page before."""

    cursor: Annotated[str, Meta(max_length=36)] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE)] = 20


_BODY: Final = JsonBody(ErasureRequest)
_certificate: Final = msgspec.json.Decoder(dict[str, Any])


@route(
    "POST /api/v1/compliance/erasures",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_BODY,
        answers={202: ErasureAccepted},
        examples={"body": {"user_id": "ada"}},
    ),
)
async def post_erasure(call: Call) -> Reply:
    """Erase a user: everything that is held of her, in every store.

    Asked twice, it is one erasure. What a worker is sending to her at this moment ends; nothing is sent afterwards.
    """
    asked = await call.read(_BODY)
    region = call.services.gateway.region
    subject = subject_hash(call.tenant_id, asked.user_id, region.sealer.blind)
    fresh = make_ids(1, region.clock.now_ms())
    erasure_id = await region.erasures.request(call.tenant_id, fresh, subject, asked.user_id)
    if erasure_id is None:
        raise Unknown("there is no such user, and there was none", "user_id")
    return json_reply(ErasureAccepted(format_id(erasure_id)), 202)


@route(
    "GET /api/v1/compliance/erasures/{erasure_id}",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: ErasureView}),
)
async def get_erasure(call: Call) -> Reply:
    """How far an erasure is, store by store, and its certificate."""
    erasure_id = parse_id(call.param("erasure_id"))
    region = call.services.gateway.region
    found = await region.erasures.read(call.tenant_id, erasure_id) if erasure_id else None
    if found is None:
        raise NotFound("there is no such erasure")
    return json_reply(_view(found))


@route(
    "GET /api/v1/compliance/erasures",
    Spec(
        tag="compliance", scope="compliance:read", rate="read", query=ErasureQuery, answers={200: ErasureList}
    ),
)
async def list_erasures(call: Call) -> Reply:
    """All erasures, newest first."""
    asked = call.query(ErasureQuery)
    before = parse_id(asked.cursor) if asked.cursor else _LAST_ID
    if before is None:
        raise Invalid("is no cursor of this list", "cursor")
    found = await call.services.gateway.region.erasures.page(call.tenant_id, before, asked.limit)
    cursor = format_id(found[-1].erasure_id) if len(found) == asked.limit else None
    return json_reply(ErasureList([_view(one) for one in found], cursor))


def _view(erasure: Erasure) -> ErasureView:
    done = erasure.completed_ms
    begun = bool(erasure.rounds or erasure.steps)
    return ErasureView(
        erasure_id=format_id(erasure.erasure_id),
        status="completed" if done is not None else "running" if begun else "pending",
        subject=erasure.subject.hex(),
        origin=erasure.origin,
        requested_at=format_time(erasure.requested_ms),
        completed_at=None if done is None else format_time(done),
        rounds=erasure.rounds,
        stores=[
            StoreProgress(step.target, dict(step.removed), format_time(step.at_ms)) for step in erasure.steps
        ],
        problem=erasure.problem or None,
        certificate=_certificate.decode(erasure.certificate) if erasure.certificate else None,
    )


ROUTES: Final[tuple[Route, ...]] = (post_erasure, get_erasure, list_erasures)
