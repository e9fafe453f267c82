"""What may be stored as a template: whatever can be wrong with one is found here, before any message needs it."""

from __future__ import annotations

from typing import Final

from clarion.contracts.channels import CHANNELS, Channel
from clarion.kernel.errors import Invalid
from clarion.templates.check_source import check_source, located
from clarion.templates.data_schema import check_data_schema
from clarion.templates.engine import CompiledTemplate, Workshop
from clarion.templates.model import (
    MAX_MADE_BYTES,
    CheckedTemplate,
    Partials,
    TemplateContent,
    TemplateVersion,
)
from clarion.templates.parts import Part, channels_of
from clarion.templates.ports import TrialRenderer, TrialVerdict
from clarion.templates.resolve import NO_PARTIALS, Resolution, resolve
from clarion.templates.shape import check_shape

CONTEXT: Final = "context"
"""The variable that stands for the user's stored context."""

LINKS: Final = "links"
"""The variable whose links are signed for each message that has them."""


def check_template(content: TemplateContent, partials: Partials = NO_PARTIALS) -> CheckedTemplate:
    """What a template is made of, if it can be stored. `partials`: those that it takes; see `needed_partials`.

    Raises Invalid with the path of the offending part: what is wrong, in which line, and how to mend it. What only a
    rendering shows, `try_template` finds.
    """
    return check_and_resolve(content, partials)[0]


def check_and_resolve(content: TemplateContent, partials: Partials) -> tuple[CheckedTemplate, Resolution]:
    """What `check_template` gives, and how it came to be."""
    check_shape(content)
    if content.data_schema is not None:
        check_data_schema(content.data_schema)
    resolution = resolve(content, partials)
    parts = list(resolution.parts())
    for part in parts:
        _check_part(part, resolution)
    compiled = Workshop().compile(parts)
    for part, broken in compiled.broken:
        raise _refuse(part, resolution, f"line {broken.line}: {broken.detail}")
    checked = CheckedTemplate(
        content,
        channels_of(content.channels),
        _reads_context(compiled),
        tuple(sorted(compiled.variables())),
        resolution.content,
        compiled.may_read(LINKS),
    )
    return checked, resolution


async def try_template(checked: CheckedTemplate, trial: TrialRenderer) -> None:
    """Render each channel of a checked template with made-up variables, where it can do no harm.

    Raises Invalid where it breaks out of its limits; Transient where no trial could be made. A trial that ends in a
    missing variable or a type is a good one: made-up variables can tell no more.
    """
    content = checked.content
    if checked.resolved is not None:
        # Flat: the child has no partials, and needs none.
        content = TemplateContent(content.category, checked.resolved.channels, checked.resolved.locales)
    for bit, channel in enumerate(CHANNELS):
        if checked.channels >> bit & 1:
            _judge(await trial.attempt(content, channel), channel)


def make_version(
    name: str, version: int, content: TemplateContent, partials: Partials = NO_PARTIALS
) -> TemplateVersion:
    """A stored version of a template, ready to render.

    Raises Invalid for content that was never checked and is too dangerous to read.
    """
    resolution = resolve(content, partials)
    compiled = Workshop().compile(list(resolution.parts()))
    return TemplateVersion(
        name,
        version,
        content,
        channels_of(content.channels),
        _reads_context(compiled),
        compiled.may_read(LINKS),
        resolution.content,
    )


def _reads_context(compiled: CompiledTemplate) -> bool:
    return compiled.may_read(CONTEXT)


def _judge(verdict: TrialVerdict, channel: Channel) -> None:
    path = f"channels.{channel}"
    if verdict.kind == "crashed":
        raise Invalid("rendering it takes more memory than a message may; make less text at once", path)
    if verdict.kind == "timed_out":
        raise Invalid("rendering it takes too long; loop over less", path)
    failure = verdict.failure
    if failure is not None and failure.kind in {"too_much_work", "too_long", "syntax", "engine"}:
        line = f"line {failure.line}: " if failure.line else ""
        raise Invalid(f"{line}{failure.detail}", f"channels.{failure.part}")


def _check_part(part: Part, resolution: Resolution) -> None:
    try:
        check_source(part.source, part.path, is_html=part.is_html, most=MAX_MADE_BYTES)
    except Invalid as error:
        raise _refuse(part, resolution, error.detail) from None


def _refuse(part: Part, resolution: Resolution, detail: str) -> Invalid:
    assembled = resolution.sources.get(part.path)
    if assembled is None:
        return Invalid(f"in the HTML that is made of it: {detail}", f"{part.root}.email.mjml")
    return located(Invalid(detail), part.path, assembled)
