"""What messages say."""

from __future__ import annotations

from typing import Annotated, Any, Final, cast

import msgspec
from msgspec import Meta

from clarion.audience.profile import UserItem
from clarion.audience.users import get_user
from clarion.contracts.channels import Channel, names_of
from clarion.contracts.commands import Name
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.kernel.errors import NotFound, Unknown
from clarion.orchestration.rows import format_time
from clarion.templates import (
    ChannelParts,
    Rendered,
    RenderFailure,
    RenderItem,
    TemplateContent,
    TemplateVersion,
    build_variables,
    check_template,
    try_template,
)
from clarion.tenancy.api_keys import require_scope


class TemplateSaved(msgspec.Struct, frozen=True):
    """A version that is kept. `variables` are the names that it asks for."""

    name: str
    version: int
    category: str
    channels: list[str]
    variables: list[str]


class VersionLine(msgspec.Struct, frozen=True):
    """One version: its number, and when it was saved."""

    version: int
    created_at: str


class TemplateView(msgspec.Struct, frozen=True):
    """One version of a template with its sources, and which versions there are, newest first."""

    name: str
    version: int
    category: str
    channels: ChannelParts
    versions: list[VersionLine]


class TemplateLine(msgspec.Struct, frozen=True):
    """One template of a list, as its latest version has it."""

    name: str
    version: int
    category: str
    channels: list[str]


class TemplateList(msgspec.Struct, frozen=True):
    """All templates of the tenant, by name."""

    templates: list[TemplateLine]


class VersionParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version; the latest where it is left out."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/templates/{name}/preview`.

    `user_id` takes the variables of a real user (it needs the scope `users:read`); those of `user` win over hers.
    `version`: the latest where it is left out.
    """

    data: dict[str, Any] = {}
    user_id: Name | None = None
    user: dict[str, Any] = {}
    context: dict[str, Any] = {}
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None


class PreviewFailure(msgspec.Struct, frozen=True):
    """Why a channel could not be rendered: in which part and line, and for want of which variable."""

    kind: str
    part: str
    line: int
    variable: str
    detail: str


class PreviewPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a channel would say; or why it cannot."""

    subject: str = ""
    html: str = ""
    text: str = ""
    title: str = ""
    body: str = ""
    data: dict[str, str] = {}
    error: PreviewFailure | None = None


class PreviewView(msgspec.Struct, frozen=True):
    """A version, rendered on each of its channels. Nothing was sent."""

    name: str
    version: int
    channels: dict[str, PreviewPart]


_CONTENT: Final = JsonBody(TemplateContent)
_PREVIEW: Final = JsonBody(PreviewRequest)


@route(
    "PUT /api/v1/templates/{name}",
    Spec(
        tag="templates",
        scope="templates:write",
        body=_CONTENT,
        answers={200: TemplateSaved},
        problems=(422,),
        examples={"body": examples.TEMPLATE},
    ),
)
async def put_template(call: Call) -> Reply:
    """Save a template as its next version.

    Saving what is the latest version already makes no new one. What was accepted before is sent as it was then.
    """
    name = call.param("name")
    content = await call.read(_CONTENT)
    gateway = call.services.gateway
    config = await gateway.region.configs.get(call.tenant_id)
    if content.category not in config.categories:
        known = ", ".join(sorted(config.categories))
        raise Unknown(f"names an unknown category; there are {known}", "category")
    checked = check_template(content)
    await try_template(checked, gateway.trials)
    version = await gateway.region.templates.save(call.tenant_id, name, checked)
    gateway.region.configs.forget(call.tenant_id)
    saved = TemplateSaved(
        name, version, content.category, names_of(checked.channels), list(checked.variables)
    )
    return json_reply(saved)


@route(
    "GET /api/v1/templates/{name}",
    Spec(
        tag="templates",
        scope="templates:read",
        rate="read",
        query=VersionParameters,
        answers={200: TemplateView},
    ),
)
async def get_template(call: Call) -> Reply:
    """One version of a template, and which versions there are."""
    name = call.param("name")
    template = await _read(call, name, call.query(VersionParameters).version)
    versions = await call.services.gateway.region.templates.list_versions(call.tenant_id, name)
    view = TemplateView(
        name,
        template.version,
        template.content.category,
        template.content.channels,
        [VersionLine(version, format_time(created_ms)) for version, created_ms in versions],
    )
    return json_reply(view)


@route(
    "GET /api/v1/templates",
    Spec(tag="templates", scope="templates:read", rate="read", answers={200: TemplateList}),
)
async def list_templates(call: Call) -> Reply:
    """All templates, as their latest versions have them."""
    latest = await call.services.gateway.region.templates.list_latest(call.tenant_id)
    lines = [TemplateLine(t.name, t.version, t.content.category, names_of(t.channels)) for t in latest]
    return json_reply(TemplateList(lines))


@route(
    "POST /api/v1/templates/{name}/preview",
    Spec(
        tag="templates",
        scope="templates:read",
        body=_PREVIEW,
        answers={200: PreviewView},
        examples={"body": {"user_id": "ada", "data": {"order": "1815", "day": "tomorrow"}}},
    ),
)
async def preview_template(call: Call) -> Reply:
    """Render a template without sending it.

    A channel that cannot be rendered says why; the others are there.
    """
    name = call.param("name")
    wanted = await call.read(_PREVIEW)
    if wanted.user_id is not None:
        require_scope(call.principal, "users:read")
    template = await _read(call, name, wanted.version)
    variables = await _variables(call, wanted)
    channels = cast("list[Channel]", names_of(template.channels))
    items = [RenderItem(call.tenant_id, template, channel, variables) for channel in channels]
    rendered = call.services.gateway.renderer.render_batch(items)
    parts = {channel: _part(result) for channel, result in zip(channels, rendered, strict=True)}
    return json_reply(PreviewView(name, template.version, parts))


async def _read(call: Call, name: str, version: int | None) -> TemplateVersion:
    template = await call.services.gateway.region.templates.get(call.tenant_id, name, version)
    if template is None:
        raise NotFound("there is no such template" if version is None else "there is no such version of it")
    return template


async def _variables(call: Call, wanted: PreviewRequest) -> dict[str, Any]:
    region = call.services.gateway.region
    config = await region.configs.get(call.tenant_id)
    tenant = {"name": config.tenant.name}
    if wanted.user_id is None:
        return build_variables(wanted.data, wanted.user, wanted.context, tenant, {})
    try:
        user = await get_user(call.tenant_id, wanted.user_id, region.users, region.seals)
    except NotFound:
        raise Unknown("names an unknown user: PUT the user first", "user_id") from None
    ids = await region.users.find_ids(call.tenant_id, [wanted.user_id])
    (stored,) = await region.contexts.read([ids.get(wanted.user_id, 0)])
    return build_variables(
        wanted.data, {**_user_variables(user), **wanted.user}, {**stored, **wanted.context}, tenant, {}
    )


def _user_variables(user: UserItem) -> dict[str, Any]:
    """What templates see of a user: attributes and profile fields side by side."""
    return {
        **user.attributes,
        "id": user.user_id,
        "email": user.email or "",
        "phone": user.phone or "",
        "timezone": user.timezone or "",
        "language": user.language or "",
        "country": user.country or "",
    }


def _part(result: Rendered | RenderFailure) -> PreviewPart:
    if isinstance(result, RenderFailure):
        failure = PreviewFailure(result.kind, result.part, result.line, result.variable, result.detail)
        return PreviewPart(error=failure)
    return PreviewPart(result.subject, result.html, result.text, result.title, result.body, result.data)


ROUTES: Final[tuple[Route, ...]] = (put_template, get_template, list_templates, preview_template)
