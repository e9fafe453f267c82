"""How a tenant wants the accounts of a channel chosen."""

from __future__ import annotations

from typing import Annotated, Final, get_args

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.routing import PostgresRouting
from clarion.contracts.channels import CHANNELS, Channel
from clarion.contracts.commands import Name
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import NotFound, Unknown
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.routing import (
    DEFAULT_POLICY,
    MAX_PINS,
    Pin,
    PolicyName,
    RoutingPolicy,
    accounts_named,
    check_policy,
)

MAX_ACCOUNTS: Final = 100

Share = Annotated[float, Meta(ge=0, le=1_000_000)]
Destination = Annotated[str, Meta(max_length=100, pattern=r"^([A-Z]{2}|[a-z0-9.+-]+)?$")]


class PinBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages of `category`, to `destination`, or both, go through `provider` first; with `only`, through no other.

    `destination`: a country of phone numbers (`DE`), a mail domain (`gmail.com`) or a push service (`apns`).
    """

    provider: Name
    category: Annotated[str, Meta(max_length=200)] = ""
    destination: Destination = ""
    only: bool = False


class RoutingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/routing/{channel}`.

    `balanced`, `cost_optimized` and `fastest` weigh latency, errors and price, and share what scores alike by the
    accounts' weights. `ordered` takes the first of `order` that works. `split` shares by `split`, in any unit. Before
    all that, the first of `pins` that fits a message says who is asked first.
    """

    policy: PolicyName = "balanced"
    order: Annotated[list[Name], Meta(max_length=MAX_ACCOUNTS)] = []
    split: dict[Name, Share] = {}
    pins: Annotated[list[PinBody], Meta(max_length=MAX_PINS)] = []


class RoutingView(msgspec.Struct, frozen=True):
    """A channel's policy."""

    channel: str
    policy: PolicyName
    order: list[str]
    split: dict[str, float]
    pins: list[PinBody]


_BODY: Final = JsonBody(RoutingBody)


@route(
    "PUT /api/v1/routing/{channel}",
    Spec(
        tag="providers",
        scope="providers:write",
        body=_BODY,
        answers={200: RoutingView},
        problems=(404, 422),
        examples={"body": examples.ROUTING, "answer": {"channel": "sms", "split": {}, **examples.ROUTING}},
    ),
)
async def put_routing(call: Call) -> Reply:
    """Say how the accounts of a channel are chosen. In force within a second."""
    channel = _channel(call)
    body = await call.read(_BODY)
    policy = RoutingPolicy(
        body.policy,
        tuple(body.order),
        body.split,
        tuple(Pin(pin.provider, pin.category, pin.destination, pin.only) for pin in body.pins),
    )
    check_policy(policy)
    region = call.services.gateway.region
    # Another process may have made an account a moment ago.
    region.configs.forget(call.tenant_id)
    _check_accounts(policy, channel, await region.configs.get(call.tenant_id))
    await PostgresRouting(region.pools).put(call.tenant_id, channel, policy)
    region.configs.forget(call.tenant_id)
    return json_reply(_view(channel, policy))


@route(
    "GET /api/v1/routing/{channel}",
    Spec(tag="providers", scope="providers:read", rate="read", answers={200: RoutingView}, problems=(404,)),
)
async def get_routing(call: Call) -> Reply:
    """How the accounts of a channel are chosen: `balanced`, where nothing was said."""
    channel = _channel(call)
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    return json_reply(_view(channel, config.routing.get(channel, DEFAULT_POLICY)))


def _channel(call: Call) -> Channel:
    name = call.param("channel")
    for channel in CHANNELS:
        if channel == name:
            return channel
    raise NotFound(f"there is no such channel; there are {', '.join(get_args(Channel))}")


def _check_accounts(policy: RoutingPolicy, channel: str, config: TenantConfig) -> None:
    known = {account.name for account in config.providers if account.channel == channel}
    for name, path in accounts_named(policy).items():
        if name not in known:
            raise Unknown(f"there is no such provider for {channel}", path)
    for place, pin in enumerate(policy.pins):
        if pin.category and pin.category not in config.categories:
            raise Unknown("there is no such category", f"pins[{place}].category")


def _view(channel: str, policy: RoutingPolicy) -> RoutingView:
    pins = [PinBody(pin.provider, pin.category, pin.destination, pin.only) for pin in policy.pins]
    return RoutingView(channel, policy.policy, list(policy.order), dict(policy.split), pins)


ROUTES: Final[tuple[Route, ...]] = (put_routing, get_routing)
