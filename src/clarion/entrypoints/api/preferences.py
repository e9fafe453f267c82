"""What a user chose for herself: channels that she switched off, and her own quiet hours."""

from __future__ import annotations

from typing import Final

from clarion.audience.preferences import Choices, choose, read_choices
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route

EXAMPLE: Final = {
    "preferences": {"marketing": ["sms", "push"]},
    "quiet_hours": {"start": "21:30", "end": "07:00"},
}

_CHOICES: Final = JsonBody(Choices)


@route(
    "PUT /api/v1/users/{user_id}/preferences",
    Spec(
        tag="users",
        scope="users:write",
        body=_CHOICES,
        answers={200: Choices},
        examples={"body": EXAMPLE, "answer": EXAMPLE},
    ),
)
async def put_preferences(call: Call) -> Reply:
    """Replace what a user chose; what is left out is removed.

    `preferences`: by category (`*`: all), the channels that she switched off. `quiet_hours`: her own, on her wall
    clock, besides the tenant's. Both are asked when a message is decided on and again right before it is sent.
    """
    name = call.param("user_id")
    chosen = await call.read(_CHOICES)
    kept = await choose(call.tenant_id, name, chosen, call.services.gateway.region.users)
    await call.services.cards.refresh(call.tenant_id, [name])
    return json_reply(kept)


@route(
    "GET /api/v1/users/{user_id}/preferences",
    Spec(tag="users", scope="users:read", rate="read", answers={200: Choices}, examples={"answer": EXAMPLE}),
)
async def get_preferences(call: Call) -> Reply:
    """What a user chose."""
    users = call.services.gateway.region.users
    return json_reply(await read_choices(call.tenant_id, call.param("user_id"), users))


ROUTES: Final[tuple[Route, ...]] = (put_preferences, get_preferences)
