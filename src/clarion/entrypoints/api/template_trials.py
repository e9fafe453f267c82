"""Looking at a template before others do: a preview, which sends nothing, and a test send, which does."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import Meta

from clarion.audience.profile import UserItem
from clarion.audience.users import get_user
from clarion.bootstrap import public_url_of
from clarion.contracts.channels import Channel, names_of
from clarion.contracts.commands import Name, NotificationRequest, Optimization, Personalization
from clarion.contracts.responses import NotificationAccepted
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.template_reads import Number, find_template
from clarion.entrypoints.api.template_views import DataFault, PreviewView, as_part
from clarion.kernel.errors import Invalid, NotFound, Unknown
from clarion.orchestration.accept import Ask
from clarion.orchestration.model import Submission
from clarion.templates import (
    DataSchema,
    Finding,
    RenderItem,
    TemplateVersion,
    build_variables,
    choose_locale,
    lint_template,
    locale_name,
)
from clarion.tenancy.api_keys import require_scope
from clarion.tenancy.config import TemplateInfo, TenantConfig

MAX_TAG: Final = 35
"""Characters of the longest language tag that RFC 5646 expects."""

TEST_MARK: Final = "clarion_test"
"""The entry of a test send's `metadata` that tells it from others: the number of the version."""


class PreviewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/templates/{name}/preview`.

    `user_id` takes the variables of a real user (it needs the scope `users:read`); those of `user` win over hers.
    `version`: a number or `live`, the latest where it is left out. `channel`: this one alone. `locale`: as a user of
    this language would get it, in place of hers. `links` lead nowhere.
    """

    data: dict[str, Any] = {}
    user_id: Name | None = None
    user: dict[str, Any] = {}
    context: dict[str, Any] = {}
    version: Number | Literal["live"] | None = None
    channel: Channel | None = None
    locale: Annotated[str, Meta(max_length=MAX_TAG)] = ""


class SendTestRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/templates/{name}/test`. `version` as in a preview; without `channels`, all that it has."""

    user_id: Name
    data: dict[str, Any] = {}
    context: dict[str, Any] = {}
    version: Number | Literal["live"] | None = None
    channels: list[Channel] = []


_PREVIEW: Final = JsonBody(PreviewRequest)
_TEST: Final = JsonBody(SendTestRequest)


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

    A channel that cannot be rendered says why; the others are there. `data_fault` tells what the template's schema has
    against `data`.
    """
    name = call.param("name")
    wanted = await call.read(_PREVIEW)
    if wanted.user_id is not None:
        require_scope(call.principal, "users:read")
    template = await find_template(call, name, wanted.version)
    config = await call.services.gateway.region.configs.get(call.tenant_id)
    user, context = await _user_of(call, wanted.user_id)
    variables = build_variables(
        wanted.data,
        {**user, **wanted.user},
        {**context, **wanted.context},
        {"name": config.tenant.name},
        _example_links(call),
    )
    language = wanted.locale or str(user.get("language", ""))
    locale = choose_locale(template, language, config.tenant.language)
    channels = _channels(template, wanted.channel)
    items = [RenderItem(call.tenant_id, template, channel, variables, locale) for channel in channels]
    rendered = call.services.gateway.renderer.render_batch(items)
    parts = {channel: as_part(result) for channel, result in zip(channels, rendered, strict=True)}
    fault = _data_fault(template, wanted.data)
    findings = await _lint(call, template, config)
    return json_reply(
        PreviewView(name, template.version, locale_name(template.resolved, locale), parts, fault, findings)
    )


async def _lint(call: Call, template: TemplateVersion, config: TenantConfig) -> list[Finding]:
    """What could be better about a stored version.

    With the partials that it took: with those it was tried where it could do no harm, with later ones it was not.
    """
    content, region = template.content, call.services.gateway.region
    category = config.categories.get(content.category)
    taken = {} if template.resolved is None else template.resolved.partials
    partials = await region.partials.fetch_versions(call.tenant_id, taken)
    class_ = "service" if category is None else category.class_
    return await asyncio.to_thread(lint_template, content, partials, class_)


def _example_links(call: Call) -> dict[str, str]:
    """Links of nobody: a preview is shown to people who must not unsubscribe its user."""
    base = public_url_of(call.services.gateway.region.settings)
    return {"unsubscribe": f"{base}/u/preview", "preferences": f"{base}/p/preview"}


def _channels(template: TemplateVersion, wanted: Channel | None) -> list[Channel]:
    there = cast("list[Channel]", names_of(template.channels))
    if wanted is None:
        return there
    if wanted not in there:
        raise Invalid(f"the template has nothing for {wanted}", "channel")
    return [wanted]


def _data_fault(template: TemplateVersion, data: dict[str, Any]) -> DataFault | None:
    schema = template.content.data_schema
    if schema is None:
        return None
    try:
        DataSchema(schema).check(data)
    except Invalid as error:
        return DataFault(error.path, error.detail)
    return None


async def _user_of(call: Call, user_id: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """What templates see of a user, and her stored context; nothing for none. Raises Unknown."""
    if user_id is None:
        return {}, {}
    region = call.services.gateway.region
    try:
        user = await get_user(call.tenant_id, user_id, region.users, region.seals)
    except NotFound:
        raise Unknown("names an unknown user: PUT the user first", "user_id") from None
    ids = await region.users.find_ids(call.tenant_id, [user_id])
    (stored,) = await region.contexts.read([ids.get(user_id, 0)])
    return _user_variables(user), stored


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


@route(
    "POST /api/v1/templates/{name}/test",
    Spec(
        tag="templates",
        scope="notifications:write",
        body=_TEST,
        answers={201: NotificationAccepted},
        examples={
            "body": {"user_id": "ada", "data": {"order": "1815", "day": "tomorrow"}},
            "answer": examples.ACCEPTED,
        },
    ),
)
async def send_test(call: Call) -> Reply:
    """Send a version, live or not, to one user by the way that every notification goes.

    Consent, quiet hours and suppressions hold as always, and the answer says what they stopped. The notification has
    `clarion_test` in its `metadata`: the number of the version.
    """
    name = call.param("name")
    wanted = await call.read(_TEST)
    template = await find_template(call, name, wanted.version)
    content = template.content
    channels = wanted.channels or cast("list[Channel]", names_of(template.channels))
    request = NotificationRequest(
        user_id=wanted.user_id,
        category=content.category,
        template=name,
        data=wanted.data,
        optimization=Optimization(channel_selection="specified", channels=channels, fallback=[]),
        personalization=Personalization(context=wanted.context),
        metadata={TEST_MARK: template.version},
    )
    pinned = TemplateInfo(
        name, template.version, content.category, template.channels, content.data_schema is not None
    )
    submission = Submission(request, call.trip.traceparent, pinned)
    principal = call.principal
    ask = Ask(principal.tenant_id, principal.environment, [submission])
    answer = await call.services.acceptor.submit(ask, call.trip.answer)
    return Reply(201, answer.body)


ROUTES: Final[tuple[Route, ...]] = (preview_template, send_test)
