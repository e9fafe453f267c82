"""Pieces that templates share: layouts, headers, footers."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

import msgspec

from clarion.adapters.postgres.partials import PartialSaving, Remade
from clarion.entrypoints.api import examples
from clarion.entrypoints.api.body import JsonBody
from clarion.entrypoints.api.replies import Reply, json_reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.api.template_reads import Number, partials_of_partial, partials_of_template
from clarion.kernel.errors import Invalid, NotFound
from clarion.orchestration.rows import format_time
from clarion.templates import (
    PartialContent,
    PartialParts,
    Partials,
    PartialVersion,
    TemplateVersion,
    check_partial,
    check_template,
    try_template,
)

MAX_REMADE: Final = 100
"""Templates that one save makes anew: each is checked and tried first, which takes 13 ms and more."""


class PartialParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`templates`: `update` makes those that are live with it anew; `keep` leaves them until they are saved."""

    templates: Literal["update", "keep"] = "update"


class PartialVersionParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which version; the latest where it is left out."""

    version: Number | None = None


class RemadeTemplate(msgspec.Struct, frozen=True):
    """A template that is live with the new partial now, and in which version."""

    name: str
    version: int


class PartialSaved(msgspec.Struct, frozen=True):
    """A partial's version that is kept (`new`: it was not there before), and the templates that were made anew."""

    name: str
    version: int
    new: bool
    templates: list[RemadeTemplate]


class PartialView(msgspec.Struct, frozen=True):
    """One version of a partial with its sources, and the templates that are live with the partial, in any version."""

    name: str
    version: int
    html: str
    mjml: str
    text: str
    locales: dict[str, PartialParts]
    used_by: list[str]


class PartialLine(msgspec.Struct, frozen=True):
    """One partial of a list. `created_by`: the id of the key that saved its latest version."""

    name: str
    version: int
    created_at: str
    created_by: str


class PartialList(msgspec.Struct, frozen=True):
    """All partials of the tenant, by name."""

    partials: list[PartialLine]


_CONTENT: Final = JsonBody(PartialContent)


@route(
    "PUT /api/v1/partials/{name}",
    Spec(
        tag="templates",
        scope="templates:write",
        body=_CONTENT,
        query=PartialParameters,
        answers={200: PartialSaved},
        problems=(409,),
        examples={"body": examples.PARTIAL},
    ),
)
async def put_partial(call: Call) -> Reply:
    """Save a partial as its next version, and make the templates anew that are live with it.

    All of it happens, or nothing: a template that could not be sent any more refuses the partial, and the error names
    it. With `?templates=keep` they stay as they are until they are saved again.
    """
    name = call.param("name")
    how = call.query(PartialParameters)
    content = await call.read(_CONTENT)
    region = call.services.gateway.region
    latest = await region.partials.get(call.tenant_id, name)
    is_new = latest is None or latest.content != content
    taken = await partials_of_partial(call, content)
    await asyncio.to_thread(check_partial, name, content, taken)
    number = (0 if latest is None else latest.version) + is_new
    version = PartialVersion(name, number, content)
    remade = await _remake(call, version) if how.templates == "update" else None
    saving = PartialSaving(version, call.principal.key_id, remade)
    made = await region.partials.save(call.tenant_id, saving)
    region.configs.forget(call.tenant_id)
    templates = [RemadeTemplate(*each) for each in made.items()]
    return json_reply(PartialSaved(name, number, is_new, templates))


async def _remake(call: Call, partial: PartialVersion) -> list[Remade]:
    """The templates that are live with a partial in another version, as they are with this one.

    Raises Invalid, naming the template, where one cannot be made.
    """
    gateway = call.services.gateway
    taking = await gateway.region.templates.list_taking(call.tenant_id, partial.name)
    outdated = [t for t in taking if t.resolved and t.resolved.partials.get(partial.name) != partial.version]
    if len(outdated) > MAX_REMADE:
        detail = f"{len(outdated)} templates take it, and {MAX_REMADE} can be made anew at once; use ?templates=keep"
        raise Invalid(detail, "templates")
    return [await _remake_one(call, template, partial) for template in outdated]


async def _remake_one(call: Call, template: TemplateVersion, partial: PartialVersion) -> Remade:
    partials: Partials = {**await partials_of_template(call, template.content), partial.name: partial}
    try:
        checked = await asyncio.to_thread(check_template, template.content, partials)
        await try_template(checked, call.services.gateway.trials)
    except Invalid as error:
        where = f"template {template.name!r} could not be sent with it: {error.path}"
        raise Invalid(f"{where}: {error.detail}") from None
    return Remade(template.name, template.version, checked)


@route(
    "GET /api/v1/partials/{name}",
    Spec(
        tag="templates",
        scope="templates:read",
        rate="read",
        query=PartialVersionParameters,
        answers={200: PartialView},
    ),
)
async def get_partial(call: Call) -> Reply:
    """One version of a partial, and the templates that are live with it."""
    name, version = call.param("name"), call.query(PartialVersionParameters).version
    region = call.services.gateway.region
    partial = await region.partials.get(call.tenant_id, name, version)
    if partial is None:
        raise NotFound("there is no such partial" if version is None else "there is no such version of it")
    taking = await region.templates.list_taking(call.tenant_id, name)
    said = partial.content
    used_by = [template.name for template in taking]
    return json_reply(
        PartialView(name, partial.version, said.html, said.mjml, said.text, said.locales, used_by)
    )


@route(
    "GET /api/v1/partials",
    Spec(tag="templates", scope="templates:read", rate="read", answers={200: PartialList}),
)
async def list_partials(call: Call) -> Reply:
    """All partials, as of their latest versions."""
    records = await call.services.gateway.region.partials.list_latest(call.tenant_id)
    lines = [PartialLine(r.name, r.version, format_time(r.created_ms), r.created_by) for r in records]
    return json_reply(PartialList(lines))


ROUTES: Final[tuple[Route, ...]] = (put_partial, get_partial, list_partials)
