"""What may be stored as a template: whatever can be wrong with one is found here, before any message needs it."""

from __future__ import annotations

from typing import Final

from clarion.contracts.channels import CHANNELS, Channel
from clarion.kernel.errors import Invalid
from clarion.templates.data_schema import check_data_schema
from clarion.templates.engine import CompiledTemplate, Workshop
from clarion.templates.language import check_language
from clarion.templates.markup import check_markup, has_script_link
from clarion.templates.model import (
    MAX_PUSH_DATA,
    MAX_SOURCE_BYTES,
    ChannelParts,
    CheckedTemplate,
    RenderFailure,
    TemplateContent,
    TemplateVersion,
)
from clarion.templates.parts import Part, channels_of, parts_of
from clarion.templates.ports import TrialRenderer, TrialVerdict
from clarion.templates.syntax import read_source, tags_of
from clarion.templates.values import clean

CONTEXT: Final = "context"
"""The variable that stands for the user's stored context."""

LINKS: Final = "links"
"""The variable whose links are signed for each message that has them."""


def check_template(content: TemplateContent) -> CheckedTemplate:
    """What a template is made of, if it can be stored.

    Raises Invalid with the path of the offending part: what is wrong, in which line, and how to mend it. What only a
    rendering shows, `try_template` finds.
    """
    _check_shape(content)
    if content.data_schema is not None:
        check_data_schema(content.data_schema)
    parts = parts_of(content.channels)
    for part in parts:
        _check_part(part)
    compiled = Workshop().compile(parts)
    for part, broken in compiled.broken:
        raise _invalid(part, broken)
    variables = tuple(sorted(compiled.variables()))
    return CheckedTemplate(content, channels_of(content.channels), _reads_context(compiled), variables)


async def try_template(checked: CheckedTemplate, trial: TrialRenderer) -> None:
    """Render each channel of a checked template with made-up variables, where it can do no harm.

    Raises Invalid where it breaks out of its limits; Transient where no trial could be made. A trial that ends in a
    missing variable or a type is a good one: made-up variables can tell no more.
    """
    for bit, channel in enumerate(CHANNELS):
        if checked.channels >> bit & 1:
            _judge(await trial.attempt(checked.content, channel), channel)


def make_version(name: str, version: int, content: TemplateContent) -> TemplateVersion:
    """A stored version of a template, ready to render.

    Raises Invalid for content that was never checked and is too dangerous to read.
    """
    compiled = Workshop().compile(parts_of(content.channels))
    return TemplateVersion(
        name,
        version,
        content,
        channels_of(content.channels),
        _reads_context(compiled),
        compiled.may_read(LINKS),
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


def _invalid(part: Part, failure: RenderFailure) -> Invalid:
    return Invalid(f"line {failure.line}: {failure.detail}", part.path)


def _check_shape(content: TemplateContent) -> None:
    if content.locales:
        raise Invalid("locales are not supported yet; leave `locales` out", "locales")
    channels = content.channels
    if not channels_of(channels):
        raise Invalid("a template needs at least one of email, push, sms", "channels")
    _check_email(channels)
    _check_push(channels)
    if channels.sms is not None and not channels.sms.body.strip():
        raise Invalid("a text message needs a body", "channels.sms.body")


def _check_email(channels: ChannelParts) -> None:
    email = channels.email
    if email is None:
        return
    if email.mjml:
        raise Invalid("MJML is not supported yet; give `html`", "channels.email.mjml")
    if not email.subject.strip():
        raise Invalid("an e-mail needs a subject", "channels.email.subject")
    if not email.html.strip() and not email.text.strip():
        raise Invalid("an e-mail needs `html` or `text`", "channels.email")


def _check_push(channels: ChannelParts) -> None:
    push = channels.push
    if push is None:
        return
    if not push.title.strip() and not push.body.strip():
        raise Invalid("a push message needs a title or a body", "channels.push")
    if len(push.data) > MAX_PUSH_DATA:
        raise Invalid(f"a push message takes at most {MAX_PUSH_DATA} entries of data", "channels.push.data")


def _check_part(part: Part) -> None:
    size = len(part.source.encode(errors="replace"))
    if size > MAX_SOURCE_BYTES:
        raise Invalid(f"it has {size} bytes; the most is {MAX_SOURCE_BYTES}", part.path)
    plain = part.source.replace("\r\n", "\n")
    if clean(plain) != plain:
        raise Invalid("it holds control characters or halves of characters; remove them", part.path)
    pieces = read_source(part.source, part.path)
    check_language(tags_of(pieces), part.path)
    if part.is_html:
        check_markup(pieces, part.path)
        if has_script_link(part.source):
            raise Invalid("a link begins with `javascript:` or the like; link to https://…", part.path)
