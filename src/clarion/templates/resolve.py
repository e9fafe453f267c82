"""From what an author wrote to what is rendered. Done once, when a version is saved.

Partials are put in, MJML is compiled, style rules are inlined as far as they can be, and locales are completed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from clarion.kernel.errors import Invalid
from clarion.templates.assemble import Assembled, SourceKind, assemble, missing_partials
from clarion.templates.check_source import check_bytes, check_source, located
from clarion.templates.css import inline_styles
from clarion.templates.engine import Workshop
from clarion.templates.localize import canonical, fallback_chain, merge
from clarion.templates.mjml import mjml_to_html
from clarion.templates.model import (
    MAX_MADE_BYTES,
    MAX_RESOLVED_BYTES,
    ChannelParts,
    EmailParts,
    Partials,
    PushParts,
    ResolvedContent,
    SmsParts,
    TemplateContent,
)
from clarion.templates.parts import BASE, Part, locale_root, parts_of

NO_PARTIALS: Final[Partials] = {}


class Resolution(msgspec.Struct, frozen=True):
    """Resolved content, and by path the sources that it was made of, to find an author's line again.

    Parts made of MJML are not among them: their lines are no author's.
    """

    content: ResolvedContent
    sources: dict[str, Assembled]

    def parts(self) -> Iterator[Part]:
        """Each part of each language, once where several say the same."""
        seen: set[tuple[str, str]] = set()
        for locale, channels in [("", self.content.channels), *self.content.locales.items()]:
            for part in parts_of(channels, locale_root(locale)):
                if (part.label, part.source) not in seen:
                    seen.add((part.label, part.source))
                    yield part


def needed_partials(content: TemplateContent, known: Partials) -> set[str]:
    """The names of partials that a template takes, itself or through others, and that are not in `known`.

    Whoever has a store asks, fetches and asks again, until there are none, or none that exist.
    """
    said = [content.channels, *content.locales.values()]
    sources = [source for channels in said for source in _author_sources(channels)]
    return missing_partials(sources, known)


def resolve(content: TemplateContent, partials: Partials) -> Resolution:
    """What a template says in each of its languages.

    Raises Invalid with the path of the part that cannot be made: what is wrong, in which line, and how to mend it.
    """
    fallbacks = {canonical(tag): canonical(following) for tag, following in content.fallbacks.items()}
    resolver = _Resolver(partials)
    own = tuple(fallback_chain(content.locale, fallbacks))
    base = resolver.resolve(content.channels, BASE, own)
    locales = {canonical(tag): channels for tag, channels in content.locales.items()}
    resolved: dict[str, ChannelParts] = {}
    for tag in locales:
        chain = tuple(fallback_chain(tag, fallbacks))
        said = _complete(content.channels, locales, chain)
        resolved[tag] = resolver.resolve(said, locale_root(tag), chain)
    return Resolution(
        ResolvedContent(base, resolved, canonical(content.locale), fallbacks, resolver.versions()),
        resolver.sources,
    )


def _complete(
    base: ChannelParts, locales: Mapping[str, ChannelParts], chain: tuple[str, ...]
) -> ChannelParts:
    said = base
    for tag in reversed(chain):
        if tag in locales:
            said = merge(said, locales[tag])
    return said


def _author_sources(channels: ChannelParts) -> list[str]:
    mjml = [channels.email.mjml] if channels.email is not None else []
    return [*mjml, *(part.source for part in parts_of(channels))]


class _Resolver:
    """Resolves sources, and remembers what of."""

    def __init__(self, partials: Partials) -> None:
        self.sources: dict[str, Assembled] = {}
        self._partials = partials
        self._used: set[str] = set()
        self._compiled: dict[str, str] = {}
        self._bytes = 0

    def versions(self) -> dict[str, int]:
        """The partials that were taken, with their versions."""
        return {name: self._partials[name].version for name in sorted(self._used)}

    def resolve(self, channels: ChannelParts, root: str, languages: tuple[str, ...]) -> ChannelParts:
        """What one language says."""

        def text(source: str, label: str) -> str:
            return self._assemble(source, "text", f"{root}.{label}", languages).source

        email, push, sms = channels.email, channels.push, channels.sms
        said = ChannelParts(
            email=email and self._email(email, root, languages),
            push=push
            and PushParts(
                text(push.title, "push.title"),
                text(push.body, "push.body"),
                {key: text(source, f"push.data.{key}") for key, source in push.data.items()},
                text(push.collapse_key, "push.collapse_key"),
            ),
            sms=sms and SmsParts(text(sms.body, "sms.body")),
        )
        self._count(said, root)
        return said

    def _count(self, said: ChannelParts, root: str) -> None:
        # As they come: whatever is left over would be made in vain.
        self._bytes += sum(len(part.source.encode()) for part in parts_of(said))
        if self._bytes > MAX_RESOLVED_BYTES:
            detail = f"with partials and all languages up to here it has more than {MAX_RESOLVED_BYTES} bytes"
            raise Invalid(detail, root)

    def _email(self, email: EmailParts, root: str, languages: tuple[str, ...]) -> EmailParts:
        path = f"{root}.email"
        subject = self._assemble(email.subject, "text", f"{path}.subject", languages).source
        text = self._assemble(email.text, "text", f"{path}.text", languages).source
        if email.mjml:
            assembled = self._assemble(email.mjml, "mjml", f"{path}.mjml", languages)
            return EmailParts(subject, self._from_mjml(assembled, f"{path}.mjml"), "", text)
        assembled = self._assemble(email.html, "html", f"{path}.html", languages)
        return EmailParts(subject, _with_inlined_styles(assembled, f"{path}.html"), "", text)

    def _assemble(self, source: str, kind: SourceKind, path: str, languages: tuple[str, ...]) -> Assembled:
        check_bytes(source, path)
        try:
            assembled = assemble(source, kind, self._partials, languages)
        except Invalid as error:
            raise located(error, path) from None
        self._used |= assembled.partials
        if kind != "mjml":
            self.sources[path] = assembled
        return assembled

    def _from_mjml(self, assembled: Assembled, path: str) -> str:
        """The HTML of assembled MJML, which is checked as a source first: only there are its lines the author's."""
        source = assembled.source
        if source not in self._compiled:
            try:
                _check_mjml(source, path)
                self._compiled[source] = _made_of_mjml(source)
            except Invalid as error:
                raise located(error, path, assembled) from None
        return self._compiled[source]


def _with_inlined_styles(assembled: Assembled, path: str) -> str:
    try:
        return inline_styles(assembled.source)
    except Invalid as error:
        raise located(error, path, assembled) from None


def _made_of_mjml(source: str) -> str:
    html = mjml_to_html(source)
    size = len(html.encode())
    if size > MAX_MADE_BYTES:
        detail = f"the HTML that is made of it has {size} bytes; the most is {MAX_MADE_BYTES}"
        raise Invalid(detail)
    return html


def _check_mjml(source: str, path: str) -> None:
    check_source(source, path, is_html=True)
    for _, broken in Workshop().compile([Part("email", "html", source)]).broken:
        detail = f"line {broken.line}: {broken.detail}"
        raise Invalid(detail, path)
