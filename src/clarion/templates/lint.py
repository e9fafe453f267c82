"""What a template could do better: all that can be stored, and still would not look or arrive as it should. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final

import msgspec

from clarion.contracts.channels import CHANNELS
from clarion.kernel.errors import Invalid
from clarion.templates.catalog import check_and_resolve
from clarion.templates.finding import Finding, Severity
from clarion.templates.lint_html import lint_html
from clarion.templates.lint_text import lint_text
from clarion.templates.lint_variables import lint_schema, lint_sets
from clarion.templates.model import (
    ChannelParts,
    CheckedTemplate,
    Partials,
    RenderItem,
    TemplateContent,
    TemplateVersion,
)
from clarion.templates.parts import BASE, Part, locale_root, parts_of
from clarion.templates.render import Renderer
from clarion.templates.resolve import NO_PARTIALS, Resolution
from clarion.templates.trial import made_up_variables
from clarion.templates.words import Words
from clarion.tenancy.model import CategoryClass

GMAIL_CLIP_BYTES: Final = 102 * 1024
"""Gmail shows no more of a message's HTML than this, and a link to the rest."""

NEARLY: Final = 0.8
TRACKED_LINK_BYTES: Final = 160
"""What a link grows by when its clicks are followed."""

_WAYS_OUT: Final = (("links", ".", "unsubscribe"), ("links", ".", "preferences"))

MAX_FINDINGS: Final = 200
"""Findings that are told: whoever mends these may ask again."""

_ORDER: Final[Mapping[Severity, int]] = {"error": 0, "warning": 1, "hint": 2}


def lint_template(
    content: TemplateContent, partials: Partials = NO_PARTIALS, category: CategoryClass = "service"
) -> list[Finding]:
    """What is to be said of a template: errors first, then warnings, then hints; in each the order of the parts.

    What cannot be stored is one finding, `invalid`. `category`: the class of the template's category; `partials`: those
    that it takes; see `needed_partials`.
    """
    try:
        checked, resolution = check_and_resolve(content, partials)
    except Invalid as error:
        return [Finding("error", "invalid", error.path, error.detail, "mend this first: it cannot be saved")]
    findings = [
        *_lint_parts(resolution),
        *_lint_plain_text(content),
        *_lint_opting_out(resolution, category),
        *_lint_sizes(checked, resolution),
        *_lint_locales(content),
        *lint_schema(content, checked.variables),
    ]
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])[:MAX_FINDINGS]


def _lint_parts(resolution: Resolution) -> Iterator[Finding]:
    for part in resolution.parts():
        words = Words(part.source)
        found = lint_html(part, words) if part.is_html else lint_text(part, words)
        assembled = resolution.sources.get(part.path)
        for finding in chain(found, lint_sets(part, words)):
            if assembled is None:
                # Made of MJML: its lines are no author's.
                yield msgspec.structs.replace(finding, path=_author_path(part, resolution), line=0)
            elif finding.line:
                partial, line = assembled.origin_of(finding.line)
                yield msgspec.structs.replace(finding, line=line, partial=partial)
            else:
                yield finding


def _said(content: TemplateContent) -> Iterator[tuple[str, ChannelParts]]:
    yield BASE, content.channels
    for tag, channels in content.locales.items():
        yield locale_root(tag), channels


def _lint_plain_text(content: TemplateContent) -> Iterator[Finding]:
    for root, channels in _said(content):
        email = channels.email
        if email is not None and (email.html or email.mjml) and not email.text:
            yield Finding(
                "warning",
                "missing_text",
                f"{root}.email.text",
                "there is no plain text; one is made of the HTML, as well as it goes",
                "write `text`: for readers of plain text, watches, and filters that weigh both",
            )
        elif root != BASE and email is not None and email.text and not (email.html or email.mjml):
            yield Finding(
                "warning",
                "text_only_locale",
                f"{root}.email",
                "it has a text and no HTML: readers of this language get a mail without HTML",
                "give it `html` or `mjml`, too",
            )


def _lint_opting_out(resolution: Resolution, category: CategoryClass) -> Iterator[Finding]:
    if category != "marketing":
        return
    told: set[tuple[str, str]] = set()
    for locale, channels in [("", resolution.content.channels), *resolution.content.locales.items()]:
        parts = parts_of(channels, locale_root(locale))
        for finding, part in (*_no_way_out_of_mail(parts, resolution), *_no_way_out_of_sms(parts)):
            # What a language takes from another, is told there.
            if (part.label, part.source) not in told:
                told.add((part.label, part.source))
                yield finding


def _no_way_out_of_mail(parts: list[Part], resolution: Resolution) -> Iterator[tuple[Finding, Part]]:
    mail = [part for part in parts if part.channel == "email"]
    body = next((part for part in mail if part.field in {"html", "text"}), None)
    if body is not None and not any(map(_reads_link, mail)):
        finding = Finding(
            "error",
            "missing_unsubscribe",
            _author_path(body, resolution),
            "marketing mail, and readers find no way out of it: they will report it as spam instead",
            'add <a href="{{ links.unsubscribe }}">Unsubscribe</a>',
        )
        yield finding, body


def _no_way_out_of_sms(parts: list[Part]) -> Iterator[tuple[Finding, Part]]:
    for part in parts:
        if part.channel == "sms" and "stop" not in part.source.lower() and not _reads_link(part):
            finding = Finding(
                "warning",
                "missing_unsubscribe",
                part.path,
                "marketing, and it does not say how to get no more of it",
                "end it with `Reply STOP to opt out`, or with {{ links.unsubscribe }}",
            )
            yield finding, part


def _author_path(part: Part, resolution: Resolution) -> str:
    """Where its author wrote a part: HTML that is made of MJML was written as that."""
    return part.path if part.path in resolution.sources else f"{part.root}.email.mjml"


def _reads_link(part: Part) -> bool:
    """Whether a part has a link by which readers get no more of it."""
    for piece in Words(part.source).tags:
        tokens = piece.tag.tokens if piece.tag is not None else ()
        if any(tokens[i : i + 3] in _WAYS_OUT for i in range(len(tokens))):
            return True
    return False


def _lint_sizes(checked: CheckedTemplate, resolution: Resolution) -> Iterator[Finding]:
    """How large mails become with short made-up variables: real ones are larger."""
    if not checked.channels & 1 << CHANNELS.index("email"):
        return
    variables = made_up_variables(set(checked.variables), [{"name": "Example"}] * 3)
    renderer = Renderer()
    for part in resolution.parts():
        if part.label != "email.html":
            continue
        locale = part.root.partition(".")[2]
        version = TemplateVersion(
            "lint", 0, checked.content, checked.channels, uses_context=False, resolved=checked.resolved
        )
        (rendered,) = renderer.render_batch([RenderItem(b"", version, "email", variables, locale)])
        html = getattr(rendered, "html", "") or part.source
        size = len(html.encode()) + html.count("href=") * TRACKED_LINK_BYTES
        if size > NEARLY * GMAIL_CLIP_BYTES:
            clipped = size > GMAIL_CLIP_BYTES
            yield Finding(
                "error" if clipped else "warning",
                "oversized",
                _author_path(part, resolution),
                f"about {size // 1024} KB with its links followed; Gmail clips HTML at 102 KB"
                + (", and hides what stands at the end" if clipped else ""),
                "say less, loop over less, or shorten what its style repeats in each element",
            )


def _lint_locales(content: TemplateContent) -> Iterator[Finding]:
    there = {name for name in CHANNELS if getattr(content.channels, name) is not None}
    for tag, channels in content.locales.items():
        silent = sorted(name for name in there if getattr(channels, name) is None)
        if silent:
            yield Finding(
                "hint",
                "untranslated",
                locale_root(tag),
                f"it says nothing on {', '.join(silent)}: there, users of this language get another",
                f"translate {silent[0]}, or leave it so if you mean to",
            )
    if content.locales and not content.locale:
        yield Finding(
            "hint",
            "unnamed_language",
            "locale",
            "there are translations, but the template does not say in which language `channels` is",
            "set `locale`: users of that language, and those who have none of yours, then surely get `channels`",
        )
