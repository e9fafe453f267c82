"""A tenant's kinds of message."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.contracts.channels import CHANNELS, Channel, mask_of, names_of
from clarion.contracts.commands import Fallback, FallbackStep
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import Invalid, NotFound
from clarion.orchestration.draft import check_fallback
from clarion.tenancy.model import (
    DAY_S,
    TRACK_CLICKS,
    TRACK_OPENS,
    Ambiguity,
    Caps,
    Category,
    CategoryClass,
    CategoryWords,
)

MAX_TTL_S: Final = 30 * DAY_S
NOT_NAMES: Final = frozenset({"*", "all"})
"""They stand for every category, in consent and in preferences."""

Limit = Annotated[int, Meta(ge=0, le=1_000_000)]


LanguageTag = Annotated[str, Meta(pattern=r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")]


class CategoryCaps(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Most messages to one user in one day of her own time zone: in all, and by channel. Null: no limit."""

    per_day: Limit | None = None
    per_channel_day: dict[Channel, Limit] = {}


class Tracking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is followed of a category's e-mails. Nothing, unless you say so."""

    clicks: bool = False
    opens: bool = False


class CategoryBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/categories/{name}`.

    `ttl`: seconds after which an unsent message is worthless. `on_ambiguity`: whether a message of which nobody knows
    if it was sent is sent again (`retry`) or left (`park`); without it marketing is left, all others are sent again.
    `max_channels`: how many channels `optimal` may take. `fallback`: the channels that its notifications go on to,
    where their request names none. `words`: how it is called where readers choose what they get, by language (`en`,
    `pt-BR`); without any, by its name.
    """

    class_: CategoryClass = msgspec.field(name="class")
    ttl: Annotated[int, Meta(ge=1, le=MAX_TTL_S)] = 4 * DAY_S
    on_ambiguity: Ambiguity | None = None
    caps: CategoryCaps = CategoryCaps()
    channels: Annotated[list[Channel], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: list(CHANNELS)
    )
    max_channels: Annotated[int, Meta(ge=1, le=len(CHANNELS))] = 1
    tracking: Tracking = Tracking()
    fallback: Fallback = []
    words: Annotated[dict[LanguageTag, CategoryWords], Meta(max_length=50)] = {}


class CategoryView(msgspec.Struct, frozen=True):
    """A category as it is kept."""

    name: str
    class_: CategoryClass = msgspec.field(name="class")
    ttl: int
    on_ambiguity: Ambiguity
    caps: Caps
    channels: list[str]
    max_channels: int
    tracking: Tracking
    fallback: list[FallbackStep]
    words: dict[str, CategoryWords]


class CategoryList(msgspec.Struct, frozen=True):
    """All categories of the tenant, by name."""

    categories: list[CategoryView]


_BODY: Final = JsonBody(CategoryBody)


@route(
    "PUT /api/v1/categories/{name}",
    Spec(
        tag="categories",
        scope="categories:write",
        body=_BODY,
        answers={200: CategoryView},
        examples={
            "body": examples.CATEGORY,
            "answer": {
                "name": "offers",
                **examples.CATEGORY,
                "max_channels": 1,
                "tracking": {"clicks": False, "opens": False},
                "fallback": [],
                "words": {"en": {"title": "Offers", "description": "What is cheaper this week."}},
            },
        },
    ),
)
async def put_category(call: Call) -> Reply:
    """Create or replace a category. Its class decides what may stop its messages."""
    name = call.param("name")
    if name in NOT_NAMES:
        raise Invalid(f"{name} stands for every category: choose another name", "name")
    body = await call.read(_BODY)
    check_fallback(body.fallback, "fallback")
    category = Category(
        name=name,
        class_=body.class_,
        ttl_s=body.ttl,
        on_ambiguity=body.on_ambiguity or ("park" if body.class_ == "marketing" else "retry"),
        caps=Caps(
            body.caps.per_day, {str(channel): most for channel, most in body.caps.per_channel_day.items()}
        ),
        channels=mask_of(body.channels),
        max_channels=body.max_channels,
        tracking=TRACK_CLICKS * body.tracking.clicks | TRACK_OPENS * body.tracking.opens,
        fallback=tuple(body.fallback),
        words=dict(body.words),
    )
    region = call.services.gateway.region
    await region.tenants.put_category(call.tenant_id, category)
    region.configs.forget(call.tenant_id)
    return json_reply(_view(category))


@route(
    "GET /api/v1/categories/{name}",
    Spec(tag="categories", scope="categories:read", rate="read", answers={200: CategoryView}),
)
async def get_category(call: Call) -> Reply:
    """One category."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    category = config.categories.get(call.param("name"))
    if category is None:
        raise NotFound("there is no such category")
    return json_reply(_view(category))


@route(
    "GET /api/v1/categories",
    Spec(tag="categories", scope="categories:read", rate="read", answers={200: CategoryList}),
)
async def list_categories(call: Call) -> Reply:
    """All categories: the four that every tenant starts with, and your own."""
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    return json_reply(CategoryList([_view(config.categories[name]) for name in sorted(config.categories)]))


def _view(category: Category) -> CategoryView:
    return CategoryView(
        category.name,
        category.class_,
        category.ttl_s,
        category.on_ambiguity,
        category.caps,
        names_of(category.channels),
        category.max_channels,
        Tracking(bool(category.tracking & TRACK_CLICKS), bool(category.tracking & TRACK_OPENS)),
        list(category.fallback),
        category.words,
    )


ROUTES: Final[tuple[Route, ...]] = (put_category, get_category, list_categories)
