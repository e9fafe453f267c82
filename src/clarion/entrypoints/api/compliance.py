"""Consent: what users said may be sent to them."""

from __future__ import annotations

from typing import Final

import msgspec

from clarion.compliance.consent import ConsentRequest, ConsentView, read_consent, record_consents
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route


class ConsentRecorded(msgspec.Struct, frozen=True):
    """The word is durable, and no later send of this region disregards it."""

    recorded: bool


_CONSENT: Final = JsonBody(ConsentRequest)


@route(
    "POST /api/v1/compliance/consent",
    Spec(
        tag="compliance",
        scope="compliance:write",
        body=_CONSENT,
        answers={200: ConsentRecorded},
        examples={"body": examples.CONSENT, "answer": {"recorded": True}},
    ),
)
async def record_consent(call: Call) -> Reply:
    """Record a user's word on a channel and a category.

    `channel` and `category` may be `all`. What stands after `source` is evidence, and is kept sealed.
    """
    word = await call.read(_CONSENT)
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    (error,) = await record_consents(call.tenant_id, [word], config.categories, region.seals, region.consents)
    if error is not None:
        raise error
    await call.services.cards.refresh(call.tenant_id, [word.user_id])
    return json_reply(ConsentRecorded(recorded=True))


@route(
    "GET /api/v1/compliance/consent/{user_id}",
    Spec(tag="compliance", scope="compliance:read", rate="read", answers={200: ConsentView}),
)
async def show_consent(call: Call) -> Reply:
    """What a user said: the latest word per channel and category, newest first."""
    region = call.services.gateway.region
    view = await read_consent(call.tenant_id, call.param("user_id"), region.seals, region.consents)
    return json_reply(view)


ROUTES: Final[tuple[Route, ...]] = (record_consent, show_consent)
