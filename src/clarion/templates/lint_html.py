"""What the linter says of a mail's HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from clarion.templates.css import needs_inlining
from clarion.templates.elements import Element, attributes_of, read_elements, value_of
from clarion.templates.finding import Finding
from clarion.templates.lint_text import lint_words
from clarion.templates.parts import Part
from clarion.templates.plain_text import html_to_text
from clarion.templates.words import Words

_DROPPED: Final = frozenset("script iframe form input button video audio object embed svg canvas".split())  # noqa: SIM905  a list of words
_SCHEMES: Final = frozenset({"https", "mailto", "tel", "sms"})
_APP_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*\Z")
_PLACEHOLDER: Final = re.compile(
    r"\*\|.*?\|\*|%%.+?%%|\[[A-Z_ ]{3,}\]|\$\{.*?\}|\bTODO\b|\bXXX\b|YOUR[-_ ]?(?:URL|LINK|DOMAIN)|#LINK#",
    re.IGNORECASE,
)
_NOWHERE: Final = re.compile(
    r"(?:localhost|127\.0\.0\.1|example\.(?:com|org|net)|.*\.(?:local|test|invalid|example))\Z"
)
_COMMENT: Final = re.compile(r"\{#.*?#\}", re.DOTALL)
_VARIABLE: Final = "a-variable-of-the-template"
_MIN_TEXT: Final = 60
"""Characters of text below which a mail with pictures is taken for one that is a picture."""


def lint_html(part: Part, words: Words) -> Iterator[Finding]:
    """Links, pictures, what clients drop, and words. `words`: the part's source, tags made words."""
    elements = list(read_elements(words.text))
    for element in elements:
        line = words.line_at(element.start)
        if element.name in {"a", "area"}:
            yield from _lint_link(part, words, element, line)
        elif element.name == "img":
            yield from _lint_picture(part, words, element, line)
        elif element.name in _DROPPED:
            yield Finding(
                "warning",
                "dropped_element",
                part.path,
                f"mail clients drop <{element.name}>, or refuse the mail",
                "link to a page that has it",
                line,
            )
    yield from _lint_document(part, words, elements)


def _lint_document(part: Part, words: Words, elements: list[Element]) -> Iterator[Finding]:
    text = html_to_text(_COMMENT.sub("", words.text))
    if len(text) < _MIN_TEXT and any(element.name == "img" for element in elements):
        yield Finding(
            "warning",
            "pictures_only",
            part.path,
            "there is hardly any text beside the pictures: filters take that for spam, and many readers load none",
            "say in text what the pictures say",
        )
    document = next((element for element in elements if element.name == "html"), None)
    if document is not None and "lang" not in attributes_of(document.attributes):
        yield Finding(
            "hint",
            "missing_lang",
            part.path,
            "<html> does not say the language: screen readers guess how to speak it",
            '<html lang="en">',
            words.line_at(document.start),
        )
    if needs_inlining(part.source):
        yield Finding(
            "hint",
            "style_after_rendering",
            part.path,
            "its style takes the document to be inlined, for each message anew: 0.1 to 0.5 ms each",
            "use selectors of one element (`p`, `.box`, `td.price`), and classes that no variable names",
        )
    yield from lint_words(part, words, text)


def _lint_link(part: Part, words: Words, element: Element, line: int) -> Iterator[Finding]:
    attributes = attributes_of(element.attributes)
    if "href" not in attributes:
        if "name" not in attributes and "id" not in attributes:
            yield _link(part, line, "a link leads nowhere", "give it an `href`")
        return
    yield from _lint_url(part, words, value_of(attributes, "href"), line)


def _lint_picture(part: Part, words: Words, element: Element, line: int) -> Iterator[Finding]:
    attributes = attributes_of(element.attributes)
    source = value_of(attributes, "src")
    if "alt" not in attributes:
        yield Finding(
            "warning",
            "missing_alt",
            part.path,
            "a picture has no `alt`: who loads no pictures, or cannot see them, gets nothing",
            'describe it, alt="Your parcel"; alt="" if it is mere decoration',
            line,
        )
    if source.startswith("data:"):
        yield Finding(
            "warning",
            "embedded_picture",
            part.path,
            "Gmail and Outlook show no pictures out of `data:`",
            "put it on a server, and link to it by https://",
            line,
        )
    elif not source.startswith("cid:"):
        yield from _lint_url(part, words, source, line)


def _lint_url(part: Part, words: Words, url: str, line: int) -> Iterator[Finding]:
    """What is wrong with a link's target, as far as no variable stands for it."""
    shown = words.restore(url)[:80]
    if not url or url == "#":
        yield _link(part, line, "a link or picture leads nowhere", "give its address, https://…")
    elif _PLACEHOLDER.search(words.pattern.sub("", url)):
        yield _link(
            part, line, f"`{shown}` holds a placeholder that nothing fills", "use a variable: {{ url }}"
        )
    elif words.pattern.match(url) or url.startswith("#"):
        return
    else:
        yield from _lint_address(part, words.pattern.sub(_VARIABLE, url), shown, line)


def _lint_address(part: Part, url: str, shown: str, line: int) -> Iterator[Finding]:
    scheme, colon, rest = url.partition(":")
    if not colon or not _APP_SCHEME.match(scheme.lower()):
        yield _link(
            part,
            line,
            f"`{shown}` is relative: a mail has no page that it could be relative to",
            "begin with https://…",
        )
        return
    if scheme.lower() == "http":
        yield Finding(
            "warning",
            "insecure_link",
            part.path,
            f"`{shown}` is not encrypted, and some clients warn of it or load no such picture",
            "link to https://…",
            line,
        )
    elif scheme.lower() not in _SCHEMES:
        return  # an app's own
    if scheme.lower() in {"http", "https"}:
        problem = _problem_of(url)
        if problem:
            yield _link(
                part, line, f"`{shown}` {problem}", "give the address of a page that readers can reach"
            )
    elif not rest.strip("/ "):
        yield _link(part, line, f"`{shown}` leads nowhere", "give the address or number")


def _problem_of(url: str) -> str:
    if any(character.isspace() for character in url):
        return "has a space in it"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is malformed"
    if not host or port == 0 or host in {"http", "https"}:
        return "is malformed"
    if _NOWHERE.match(host):
        return f"leads to {host}, which readers cannot reach"
    reachable = "." in host.strip(".") or ":" in host or _VARIABLE in host
    return "" if reachable else "has a host without a domain"


def _link(part: Part, line: int, detail: str, remedy: str) -> Finding:
    return Finding("error", "broken_link", part.path, detail, remedy, line)
