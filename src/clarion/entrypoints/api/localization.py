"""In which language a tenant speaks where nobody says otherwise."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route

EXAMPLE: Final = {"language": "en"}


class Localization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`language`: a BCP 47 tag, "" for none.

    Templates that do not say in which language they are written take it for users who have none of their languages.
    """

    language: Annotated[
        str, Meta(max_length=35, pattern=r"\A(?:[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4})?\Z")
    ] = ""


_BODY: Final = JsonBody(Localization)


@route(
    "PUT /api/v1/localization",
    Spec(
        tag="templates",
        scope="templates:write",
        body=_BODY,
        answers={200: Localization},
        examples={"body": EXAMPLE, "answer": EXAMPLE},
    ),
)
async def put_localization(call: Call) -> Reply:
    """Say which of a template's languages users get who have none of them."""
    wanted = await call.read(_BODY)
    region = call.services.gateway.region
    await region.tenants.put_language(call.tenant_id, wanted.language)
    region.configs.forget(call.tenant_id)
    return json_reply(wanted)


@route(
    "GET /api/v1/localization",
    Spec(
        tag="templates",
        scope="templates:read",
        rate="read",
        answers={200: Localization},
        examples={"answer": EXAMPLE},
    ),
)
async def get_localization(call: Call) -> Reply:
    """Which of a template's languages users get who have none of them."""
    tenant = (await call.services.gateway.region.configs.get(call.tenant_id)).tenant
    return json_reply(Localization(tenant.language))


ROUTES: Final[tuple[Route, ...]] = (put_localization, get_localization)
