"""A user's real-time facts."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from clarion.contracts.commands import Name
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Unknown


class ContextRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/personalization/context`. Fields are merged into what is there; null removes one."""

    user_id: Name
    context: dict[str, Any]


class ContextUpdated(msgspec.Struct, frozen=True):
    """The context is kept."""

    updated: bool


_CONTEXT: Final = JsonBody(ContextRequest)


@route(
    "POST /api/v1/personalization/context",
    Spec(
        tag="personalization",
        scope="personalization:write",
        body=_CONTEXT,
        answers={200: ContextUpdated},
        examples={"body": {"user_id": "ada", "context": {"cart_items": 3}}, "answer": {"updated": True}},
    ),
)
async def update_context(call: Call) -> Reply:
    """Say what a user is doing right now: templates see it as `context`.

    Kept for 30 days after the last word: at most 100 fields and 64 KB a user.
    """
    wanted = await call.read(_CONTEXT)
    region = call.services.gateway.region
    user_id = (await region.users.find_ids(call.tenant_id, [wanted.user_id])).get(wanted.user_id)
    if user_id is None:
        raise Unknown("names an unknown user: PUT the user first", "user_id")
    await region.contexts.merge(user_id, wanted.context)
    return json_reply(ContextUpdated(updated=True))


ROUTES: Final[tuple[Route, ...]] = (update_context,)
