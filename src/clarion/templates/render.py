"""Making messages out of templates and variables, by the batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from clarion.contracts.channels import Channel
from clarion.kernel.errors import Invalid
from clarion.templates.css import inline_after
from clarion.templates.engine import CompiledTemplate, Workshop, to_failure
from clarion.templates.errors import Unrenderable
from clarion.templates.markup import has_script_link
from clarion.templates.model import (
    MAX_OUTPUT_BYTES,
    MAX_PUSH_BYTES,
    MAX_SMS_CHARS,
    MAX_SUBJECT_CHARS,
    InlineContent,
    Rendered,
    RenderFailure,
    RenderItem,
    TemplateVersion,
)
from clarion.templates.parts import COLLAPSE_KEY, DATA_PREFIX, parts_of
from clarion.templates.plain_text import html_to_text
from clarion.templates.values import clean

MAX_CACHED: Final = 1000
"""Compiled versions that a renderer keeps."""

MAX_CACHED_CHARS: Final = 16 * 1024 * 1024
"""Characters of source that the kept versions may have together; compiled they take about three times that."""

_Key: TypeAlias = tuple[bytes, str, int, str]
"""Tenant, template, version and locale."""


class Renderer:
    """Renders batches; keeps the latest used versions compiled, each locale for itself.

    Pure computation, for one thread at a time.
    """

    def __init__(self) -> None:
        self._workshop = Workshop()
        self._cache: OrderedDict[_Key, CompiledTemplate] = OrderedDict()
        self._cached_chars = 0

    def render_batch(self, items: Sequence[RenderItem]) -> list[Rendered | RenderFailure]:
        """One result per item, in order. What is wrong with an item never reaches another, and is never raised."""
        return [self._render(item) for item in items]

    def _render(self, item: RenderItem) -> Rendered | RenderFailure:
        if isinstance(item.source, InlineContent):
            return _finish_inline(item.source, item.channel)
        try:
            compiled = self._compiled(item.tenant_id, item.source, item.locale)
        except Invalid as error:
            return RenderFailure("syntax", error.path.removeprefix("channels."), error.detail)
        fields = compiled.render(item.channel, item.variables)
        if isinstance(fields, RenderFailure):
            if fields.kind == "engine":
                self._forget((item.tenant_id, item.source.name, item.source.version, item.locale))
            return fields
        if compiled.has_risky_links and has_script_link(fields.get("html", "")):
            return RenderFailure("unsafe_link", "email.html", "a link begins with `javascript:` or the like")
        if compiled.inlines_styles and "html" in fields:
            return _finish(item.channel, {**fields, "html": inline_after(fields["html"])})
        return _finish(item.channel, fields)

    def _compiled(self, tenant_id: bytes, version: TemplateVersion, locale: str) -> CompiledTemplate:
        key = (tenant_id, version.name, version.version, locale)
        compiled = self._cache.get(key)
        if compiled is not None:
            self._cache.move_to_end(key)
            return compiled
        compiled = self._workshop.compile(parts_of(version.parts_in(locale)))
        if version.version:
            self._cache[key] = compiled
            self._cached_chars += compiled.size
            while len(self._cache) > MAX_CACHED or self._cached_chars > MAX_CACHED_CHARS:
                self._forget(next(iter(self._cache)))
        return compiled

    def _forget(self, key: _Key) -> None:
        compiled = self._cache.pop(key, None)
        if compiled is not None:
            self._cached_chars -= compiled.size


def _finish_inline(content: InlineContent, channel: Channel) -> Rendered | RenderFailure:
    fields = {"title": content.title, "body": content.body}
    if channel == "email":
        fields = {"subject": content.subject, "html": content.html, "text": content.text or content.body}
    fields = {name: clean(text) for name, text in fields.items() if text}
    if "\n" in fields.get("subject", "").strip():
        return RenderFailure("line_break", "email.subject", "the subject holds a line break")
    return _finish(channel, fields)


def _finish(channel: Channel, fields: dict[str, str]) -> Rendered | RenderFailure:
    """Hold rendered fields against what the channel can carry."""
    if not fields:
        return RenderFailure("missing_part", channel, f"there is nothing for {channel}")
    # A character takes one to four bytes: most messages need no count.
    if sum(map(len, fields.values())) * 4 > MAX_OUTPUT_BYTES:
        for field, text in fields.items():
            if len(text.encode()) > MAX_OUTPUT_BYTES:
                detail = f"it has more than {MAX_OUTPUT_BYTES} bytes"
                return RenderFailure("too_long", f"{channel}.{field}", detail)
    try:
        return _FINISHERS[channel](fields)
    except Unrenderable as error:
        return to_failure(error, channel)


def _finish_email(fields: dict[str, str]) -> Rendered:
    subject = fields.get("subject", "").strip()
    if not subject:
        raise Unrenderable("empty", "the subject is empty")
    if not subject.isprintable():
        # Only the template's own text can still hold a line break here.
        subject = " ".join(subject.split())
    if len(subject) > MAX_SUBJECT_CHARS:
        detail = f"the subject has more than {MAX_SUBJECT_CHARS} characters"
        raise Unrenderable("too_long", detail)
    html, text = fields.get("html", ""), fields.get("text")
    if text is None:
        text = html_to_text(html)
    if (not html or html.isspace()) and (not text or text.isspace()):
        raise Unrenderable("empty", "html and text are empty")
    return Rendered(subject, html, text)


def _finish_push(fields: dict[str, str]) -> Rendered:
    title, body = " ".join(fields.get("title", "").split()), fields.get("body", "").strip()
    if not title and not body:
        raise Unrenderable("empty", "title and body are empty")
    data = {
        name.removeprefix(DATA_PREFIX): text for name, text in fields.items() if name.startswith(DATA_PREFIX)
    }
    size = len(msgspec.json.encode((title, body, data)))
    if size > MAX_PUSH_BYTES:
        raise Unrenderable(
            "too_long", f"title, body and data have {size} bytes; the most is {MAX_PUSH_BYTES}"
        )
    collapse_key = " ".join(fields.get(COLLAPSE_KEY, "").split())
    return Rendered(title=title, body=body, data=data, collapse_key=collapse_key)


def _finish_sms(fields: dict[str, str]) -> Rendered:
    body = fields.get("body", "").strip()
    if not body:
        raise Unrenderable("empty", "the text message is empty")
    if len(body) > MAX_SMS_CHARS:
        detail = f"it has {len(body)} characters; the most is {MAX_SMS_CHARS}"
        raise Unrenderable("too_long", detail)
    return Rendered(body=body)


_FINISHERS: Final[dict[Channel, Callable[[dict[str, str]], Rendered]]] = {
    "email": _finish_email,
    "push": _finish_push,
    "sms": _finish_sms,
}
