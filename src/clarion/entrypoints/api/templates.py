"""What messages say: saved, read, made live."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from clarion.adapters.postgres.templates import Saved, Saving
from clarion.contracts.channels import names_of
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.template_reads import (
    MAX_VERSION,
    Number,
    WhichVersion,
    find_template,
    partials_of_template,
)
from clarion.entrypoints.api.template_views import (
    Promoted,
    TemplateList,
    TemplateSaved,
    TemplateView,
    VersionList,
    as_line,
    as_promotion,
    as_template,
    as_version,
)
from clarion.kernel.errors import Conflict, NotFound, Unknown
from clarion.orchestration.rows import format_time
from clarion.templates import (
    CheckedTemplate,
    Partials,
    TemplateContent,
    check_template,
    lint_template,
    try_template,
)

PAGE: Final = 100
MAX_TRIES: Final = 3
"""Times that a template is made anew because a partial that it takes was saved at the same moment."""


class SaveParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`as`: `live` is what is sent from now on; a `draft` waits until it is promoted."""

    as_: Literal["live", "draft"] = msgspec.field(default="live", name="as")


class VersionParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version: a number, or `live`; the latest where it is left out."""

    version: Number | Literal["live"] | None = None


class PageParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which versions: those with a number below `before`, at most `limit` of them."""

    before: Number = MAX_VERSION
    limit: Annotated[int, Meta(ge=1, le=PAGE)] = 20


class PromoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/templates/{name}/promote`."""

    version: Number


_CONTENT: Final = JsonBody(TemplateContent)
_PROMOTE: Final = JsonBody(PromoteRequest)


@route(
    "PUT /api/v1/templates/{name}",
    Spec(
        tag="templates",
        scope="templates:write",
        body=_CONTENT,
        query=SaveParameters,
        answers={200: TemplateSaved},
        problems=(409, 422),
        examples={"body": examples.TEMPLATE},
    ),
)
async def put_template(call: Call) -> Reply:
    """Save a template as its next version.

    It is live at once, or a draft with `?as=draft`. Saving what is the latest version already makes no new one. What
    was accepted before is sent as it was then.
    """
    name = call.param("name")
    how = call.query(SaveParameters)
    content = await call.read(_CONTENT)
    gateway = call.services.gateway
    config = await gateway.region.configs.get(call.tenant_id)
    if content.category not in config.categories:
        known = ", ".join(sorted(config.categories))
        raise Unknown(f"names an unknown category; there are {known}", "category")
    saving = Saving(live=how.as_ == "live", by=call.principal.key_id)
    partials, checked, saved = await _save(call, name, content, saving)
    gateway.region.configs.forget(call.tenant_id)
    class_ = config.categories[content.category].class_
    findings = await asyncio.to_thread(lint_template, content, partials, class_)
    return json_reply(
        TemplateSaved(
            name=name,
            version=saved.version,
            live=saved.live,
            new=saved.is_new,
            category=content.category,
            channels=names_of(checked.channels),
            variables=list(checked.variables),
            findings=findings,
        )
    )


async def _save(
    call: Call, name: str, content: TemplateContent, saving: Saving
) -> tuple[Partials, CheckedTemplate, Saved]:
    """Check a template, try it, and keep it. Raises Invalid; Conflict where its partials change again and again."""
    gateway = call.services.gateway
    tries = MAX_TRIES
    while True:
        partials = await partials_of_template(call, content)
        # In a thread: a large template takes a second, in which others' requests go on.
        checked = await asyncio.to_thread(check_template, content, partials)
        await try_template(checked, gateway.trials)
        try:
            saved = await gateway.region.templates.save(call.tenant_id, name, checked, saving)
        except Conflict:
            tries -= 1
            if not tries:
                raise
        else:
            return partials, checked, saved


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
    return await _show(call, call.query(VersionParameters).version)


@route(
    "GET /api/v1/templates/{name}/versions/{version}",
    Spec(tag="templates", scope="templates:read", rate="read", answers={200: TemplateView}),
)
async def get_version(call: Call) -> Reply:
    """One version of a template, as it was saved."""
    given = call.param("version")
    number = int(given) if given.isascii() and given.isdigit() else 0
    if not 1 <= number <= MAX_VERSION:
        raise NotFound("there is no such version of it")
    return await _show(call, number)


async def _show(call: Call, version: WhichVersion) -> Reply:
    name = call.param("name")
    template = await find_template(call, name, version)
    templates = call.services.gateway.region.templates
    versions = await templates.list_versions(call.tenant_id, name, limit=PAGE)
    live = await templates.find_live(call.tenant_id, name)
    return json_reply(as_template(template, versions, live))


@route(
    "GET /api/v1/templates",
    Spec(tag="templates", scope="templates:read", rate="read", answers={200: TemplateList}),
)
async def list_templates(call: Call) -> Reply:
    """All templates, as their latest versions have them."""
    records = await call.services.gateway.region.templates.list_latest(call.tenant_id)
    return json_reply(TemplateList([as_line(record) for record in records]))


@route(
    "GET /api/v1/templates/{name}/versions",
    Spec(
        tag="templates",
        scope="templates:read",
        rate="read",
        query=PageParameters,
        answers={200: VersionList},
    ),
)
async def list_versions(call: Call) -> Reply:
    """A template's versions, newest first, and who made which one live."""
    name, page = call.param("name"), call.query(PageParameters)
    templates = call.services.gateway.region.templates
    # One more than the page holds shows whether there is a next one.
    found = await templates.list_versions(call.tenant_id, name, before=page.before, limit=page.limit + 1)
    if not found:
        await find_template(call, name)
    shown = found[: page.limit]
    promotions = await templates.list_promotions(call.tenant_id, name)
    answer = VersionList(
        name,
        [as_version(record) for record in shown],
        [as_promotion(promotion) for promotion in promotions],
        shown[-1].version if len(found) > page.limit else None,
    )
    return json_reply(answer)


@route(
    "POST /api/v1/templates/{name}/promote",
    Spec(
        tag="templates",
        scope="templates:write",
        body=_PROMOTE,
        answers={200: Promoted},
        examples={"body": {"version": 1}},
    ),
)
async def promote_template(call: Call) -> Reply:
    """Make a version the live one: a draft, or an older one to roll back to.

    What is accepted from now on is sent as that version has it; what was accepted before stays as it was.
    """
    name = call.param("name")
    wanted = await call.read(_PROMOTE)
    await find_template(call, name)
    region = call.services.gateway.region
    promotion = await region.templates.promote(call.tenant_id, name, wanted.version, call.principal.key_id)
    if promotion is None:
        raise Unknown("there is no such version of the template", "version")
    region.configs.forget(call.tenant_id)
    return json_reply(
        Promoted(name, promotion.version, promotion.previous, format_time(promotion.at_ms), promotion.by)
    )


ROUTES: Final[tuple[Route, ...]] = (
    put_template,
    get_template,
    list_templates,
    list_versions,
    get_version,
    promote_template,
)
