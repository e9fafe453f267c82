"""What the routes of templates and partials read alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from clarion.entrypoints.api.routing import Call
from clarion.kernel.errors import NotFound
from clarion.templates import (
    PartialContent,
    Partials,
    PartialVersion,
    TemplateContent,
    TemplateVersion,
    needed_by_partial,
    needed_partials,
)

MAX_VERSION: Final = 2**31 - 1

MAX_FETCHES: Final = 10
"""Rounds of fetching what partials take in turn; they may stand in one another 8 deep (`templates.assemble`)."""

Number = Annotated[int, Meta(ge=1, le=MAX_VERSION)]
WhichVersion: TypeAlias = int | Literal["live"] | None
"""A number, the live version, or (None) the latest."""


async def find_template(call: Call, name: str, version: WhichVersion = None) -> TemplateVersion:
    """One version of a template of the caller's. Raises NotFound."""
    template = await call.services.gateway.region.templates.get(call.tenant_id, name, version)
    if template is None:
        raise NotFound("there is no such template" if version is None else "there is no such version of it")
    return template


async def partials_of_template(call: Call, content: TemplateContent) -> dict[str, PartialVersion]:
    """The partials that a template takes, itself and through others, in their latest versions."""
    return await _fetch(call, lambda known: needed_partials(content, known))


async def partials_of_partial(call: Call, content: PartialContent) -> dict[str, PartialVersion]:
    """The partials that a partial takes, itself and through others, in their latest versions."""
    return await _fetch(call, lambda known: needed_by_partial(content, known))


async def _fetch(call: Call, missing_of: Callable[[Partials], set[str]]) -> dict[str, PartialVersion]:
    """Fetch what is missing until nothing is, or nothing more exists: what then is missing, the check refuses."""
    known: dict[str, PartialVersion] = {}
    for _ in range(MAX_FETCHES):
        missing = missing_of(known)
        if not missing:
            break
        found = await call.services.gateway.region.partials.fetch(call.tenant_id, missing)
        if not found:
            break
        known |= found
    return known
