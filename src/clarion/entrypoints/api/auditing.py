"""Which calls are administrative acts, and what the audit log is told of each.

Closed by default: a route that is no GET and needs a credential is written down, unless it stands in UNAUDITED.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Final, cast

import msgspec
import structlog
from litestar import Request

from clarion.compliance.audit import MAX_FACTS, Act, Ending, recorded, redact, stand_in
from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.api.routing import Call, Handler, Route
from clarion.kernel.errors import ClarionError, Invalid
from clarion.kernel.text import check_storable
from clarion.tenancy.model import Principal

PREFIX: Final = "/api/v1/"
MAX_REASON: Final = 500

_TRAFFIC: Final = "what machines write all day, one record each: the log is about who runs the tenant"
_LEDGER: Final = "the consent ledger keeps every word, chained, with its source"
_NOTHING: Final = "changes nothing that is kept"

UNAUDITED: Final[Mapping[str, str]] = {
    "POST /api/v1/notifications": _TRAFFIC,
    "POST /api/v1/notifications/batch": _TRAFFIC,
    "POST /api/v1/notifications/{notification_id}/cancel": _TRAFFIC,
    "POST /api/v1/events": _TRAFFIC,
    "POST /api/v1/events/batch": _TRAFFIC,
    "PUT /api/v1/users/{user_id}": _TRAFFIC,
    "POST /api/v1/users/batch": _TRAFFIC,
    "PUT /api/v1/users/{user_id}/devices": _TRAFFIC,
    "DELETE /api/v1/users/{user_id}/devices/{device_id}": _TRAFFIC,
    "PUT /api/v1/users/{user_id}/preferences": _TRAFFIC,
    "POST /api/v1/personalization/context": _TRAFFIC,
    "POST /api/v1/compliance/consent": _LEDGER,
    "POST /api/v1/compliance/consent/batch": _LEDGER,
    "POST /api/v1/compliance/ccpa/opt-out": _LEDGER,
    "POST /api/v1/journeys/{journey_id}/trigger": _TRAFFIC,
    "POST /api/v1/journeys/{journey_id}/trigger/batch": _TRAFFIC,
    "POST /api/v1/segments/preview": _NOTHING,
    "POST /api/v1/ml/predictions:batch": _NOTHING,
    "POST /api/v1/templates/{name}/preview": _NOTHING,
    "POST /api/v1/journeys/simulate": _NOTHING,
    "POST /api/v1/journeys/{journey_id}/simulate": _NOTHING,
}
"""Routes that are no administrative acts, each with the reason."""

_log = structlog.get_logger("audit")


def is_audited(route: Route) -> bool:
    """Whether a route's calls are written down."""
    return route.method != "GET" and route.spec.scope is not None and route.line not in UNAUDITED


def audited(routes: Iterable[Route]) -> list[Route]:
    """The routes, those that act with their handler between two entries of the log."""
    known = {route.line: route for route in routes}
    return [
        msgspec.structs.replace(route, handle=_between(route, _find_reader(route, known)))
        if is_audited(route)
        else route
        for route in known.values()
    ]


def _find_reader(route: Route, known: Mapping[str, Route]) -> Route | None:
    """The route that shows what an act changes: under the same path, or above an action's (`…/{id}/pause`).

    A list that is read by the page shows one page of much else: it is none.
    """
    path = route.path
    if route.method == "POST":
        if "}/" not in path:
            return None
        path = path.rpartition("/")[0]
    reader = known.get(f"GET {path}")
    query = reader.spec.query if reader else None
    is_paged = query is not None and "cursor" in query.__struct_fields__
    return None if is_paged else reader


def _between(route: Route, reader: Route | None) -> Handler:
    @wraps(route.handle)
    async def handle(call: Call) -> Reply:
        act, before = await _describe(call, reader)
        services = call.services
        async with recorded(services.audit, call.tenant_id, act, tell_lost(call)) as ending:
            reply = await route.handle(call)
            await _tell(call, reply, ending, (reader, before))
        return reply

    return handle


def tell_lost(call: Call) -> Callable[[Exception], None]:
    """What is done where the end of an act of this call cannot be written."""

    def tell(error: Exception) -> None:
        _log.error("audit_end_lost", request_id=call.trip.request_id, route=call.route.line, exc_info=error)

    return tell


async def _describe(call: Call, reader: Route | None) -> tuple[Act, Any]:
    """The act that a call is, and what was there before. Raises Invalid on a body or a reason that is none."""
    spec, raw = call.route.spec, await call.raw()
    before = await _look(call, reader)
    facts: dict[str, object] = {"environment": call.principal.environment}
    if spec.body is not None:
        spec.body.decode(raw)
        facts["request"] = _kept(call, msgspec.json.decode(raw), "set" if before is None else "changed")
    if before is not None:
        facts["before"] = _kept(call, before, "set")
    client = call.request.client
    act = Act(
        actor=actor_of(call.principal),
        operation=call.route.handle.__name__,
        target=_target(call),
        reason=_reason(call),
        ip=client.host if client else "",
        request_id=call.trip.request_id,
        facts=facts,
    )
    return act, before


async def _tell(call: Call, reply: Reply, ending: Ending, was: tuple[Route | None, Any]) -> None:
    """What became of it: the status, what is there now, and what was made."""
    reader, before = was
    ending.facts["status"] = reply.status
    after = await _look(call, reader)
    if reader is None:
        after = _json(reply)
    if after is not None and after != before:
        ending.facts["after"] = _kept(call, after, "set" if before is None else "changed")
    made = _made(after) if call.route.method == "POST" and reader is None else ""
    if made:
        ending.target = f"{ending.target}/{made}"


def _made(answer: Any) -> str:  # noqa: ANN401  JSON
    """The id of what a POST made, by the first member of its answer that is one."""
    members = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
    return next(
        (
            value
            for name, value in members.items()
            if name.endswith("_id") and name not in {"user_id", "tenant_id"} and isinstance(value, str)
        ),
        "",
    )


async def _look(call: Call, reader: Route | None) -> Any:  # noqa: ANN401  JSON
    """What the reading route shows now; None where there is nothing, or no such route."""
    if reader is None:
        return None
    scope = cast("Any", {**call.request.scope, "method": "GET", "query_string": b""})
    request: Request[Any, Any, Any] = Request(scope)
    looking = Call(request, reader, call.services)
    looking.principal = call.principal
    try:
        reply = await reader.handle(looking)
    except ClarionError:
        return None
    return _json(reply)


def _json(reply: Reply) -> Any:  # noqa: ANN401  JSON
    """What an answer says; None where it says nothing, or is for people."""
    try:
        return msgspec.json.decode(reply.body)
    except msgspec.DecodeError:
        return None


def _kept(call: Call, value: Any, word: str) -> Any:  # noqa: ANN401  JSON in and out
    """What is kept of JSON: without secrets and persons, and not without bounds."""
    shown = redact(value, lambda text: pseudonym(call, text), word)
    encoded = msgspec.json.encode(shown, order="sorted")
    if len(encoded) <= MAX_FACTS:
        return shown
    return {"bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}


def pseudonym(call: Call, text: str) -> str:
    """What stands for a person: the same for the same text of one tenant, and nothing without the master key."""
    return stand_in(call.services.gateway.region.sealer.blind(call.tenant_id, text.encode()))


def actor_of(principal: Principal) -> str:
    """Who acts: the member where the credential is bound to one, else the key, or the token's issuer and subject."""
    if principal.member_id:
        return f"member:{principal.member_id}"
    if principal.subject:
        return f"{principal.key_id}/{principal.subject}"
    return principal.key_id if principal.key_id.startswith("token:") else f"key:{principal.key_id}"


def _target(call: Call) -> str:
    path = call.route.path.removeprefix(PREFIX)
    for name in call.request.scope["path_params"]:
        text = call.param(name)
        path = path.replace(f"{{{name}}}", pseudonym(call, text) if name == "user_id" else text)
    return path


def _reason(call: Call) -> str:
    """Why, as the caller says in `X-Audit-Reason`. Raises Invalid."""
    given = call.trip.headers.get(b"x-audit-reason", b"")
    try:
        reason = given.decode().strip()
    except UnicodeDecodeError:
        raise Invalid("is not UTF-8", "X-Audit-Reason") from None
    check_storable(reason, "X-Audit-Reason")
    if len(reason) > MAX_REASON:
        raise Invalid(f"has at most {MAX_REASON} characters", "X-Audit-Reason")
    return reason
