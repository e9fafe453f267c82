"""How a tenant's links behave: where they lead first, and whether they are followed."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route

EXAMPLE: Final = {"public_url": "https://links.shop.example", "tracking": True}


class LinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The links in a tenant's messages.

    `public_url`: a host of your own that leads to this API, with which the links begin ("": the installation's).
    `tracking`: false follows no click and no open, whatever the categories say.
    """

    public_url: Annotated[
        str,
        Meta(
            max_length=200, pattern=r"\A(?:https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*)?\Z"
        ),
    ] = ""
    tracking: bool = True


_BODY: Final = JsonBody(LinkSettings)


@route(
    "PUT /api/v1/links",
    Spec(
        tag="links",
        scope="links:write",
        body=_BODY,
        answers={200: LinkSettings},
        examples={"body": EXAMPLE, "answer": EXAMPLE},
    ),
)
async def put_links(call: Call) -> Reply:
    """Say how the links in your messages behave. What is left out is as on the first day.

    Which clicks and opens are followed, each category says in its `tracking`.
    """
    settings = await call.read(_BODY)
    region = call.services.gateway.region
    await region.tenants.put_links(call.tenant_id, tracking=settings.tracking, public_url=settings.public_url)
    region.configs.forget(call.tenant_id)
    return json_reply(settings)


@route(
    "GET /api/v1/links",
    Spec(
        tag="links",
        scope="links:read",
        rate="read",
        answers={200: LinkSettings},
        examples={"answer": EXAMPLE},
    ),
)
async def get_links(call: Call) -> Reply:
    """How the links in your messages behave."""
    tenant = (await call.services.gateway.region.configs.get(call.tenant_id)).tenant
    return json_reply(LinkSettings(tenant.public_url, tenant.tracking))


ROUTES: Final[tuple[Route, ...]] = (put_links, get_links)
