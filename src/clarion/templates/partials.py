"""What may be stored as a partial: a piece that templates include, or a layout that they extend."""

from __future__ import annotations

from collections.abc import Iterator

from clarion.kernel.errors import Invalid
from clarion.templates.assemble import SourceKind, assemble, missing_partials, sources_of
from clarion.templates.check_source import check_bytes, check_source, located
from clarion.templates.engine import Workshop
from clarion.templates.localize import canonical, check_locales, fallback_chain
from clarion.templates.model import PartialContent, Partials, PartialVersion
from clarion.templates.parts import Part


def needed_by_partial(content: PartialContent, known: Partials) -> set[str]:
    """The names of partials that a partial takes, itself or through others, and that are not in `known`."""
    return missing_partials(sources_of(content), known)


def check_partial(name: str, content: PartialContent, partials: Partials) -> None:
    """Raises Invalid with the path of what is wrong, in which line, and how to mend it.

    `partials`: those that it takes (see `needed_by_partial`). That it fits a place (inside an attribute's quotes, among
    MJML's components) is checked with each template that takes it.
    """
    if not any(source.strip() for source in sources_of(content)):
        raise Invalid("a partial needs `html`, `mjml` or `text`")
    check_locales(content.locales, "locales")
    with_itself = {**partials, name: PartialVersion(name, 0, content)}
    for path, language, kind, source in _sources(content):
        languages = tuple(fallback_chain(language, {}))
        check_bytes(source, path)
        try:
            assembled = assemble(source, kind, with_itself, languages)
        except Invalid as error:
            raise located(error, path) from None
        try:
            check_source(assembled.source, path, is_html=False)
        except Invalid as error:
            raise located(error, path, assembled) from None
        for _, broken in Workshop().compile([Part("sms", "body", assembled.source)]).broken:
            raise located(Invalid(f"line {broken.line}: {broken.detail}"), path, assembled)


def _sources(content: PartialContent) -> Iterator[tuple[str, str, SourceKind, str]]:
    """Each source with its path, language and kind."""
    for prefix, language, said in [
        ("", "", content),
        *((f"locales.{tag}.", canonical(tag), parts) for tag, parts in content.locales.items()),
    ]:
        kinds: list[tuple[SourceKind, str]] = [("html", said.html), ("mjml", said.mjml), ("text", said.text)]
        for kind, source in kinds:
            if source:
                yield f"{prefix}{kind}", language, kind, source
