"""MJML made HTML, with a template's tags still in it. The one place that knows mrml.

Done once, when a template is saved. mrml dies by a signal on tags nested too deep, lets unknown tags vanish without a
word, and takes `{% if a < b %}` for markup: so depth and names are checked here first, and tags go through it as words
that nothing else contains.
"""

from __future__ import annotations

import re
from typing import Final

import mrml
import msgspec

from clarion.kernel.errors import Invalid
from clarion.templates.syntax import Piece
from clarion.templates.words import Words, is_statement


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_DEPTH: Final = 100
"""Elements inside elements. mrml overflows its stack between 1 600 and 2 000."""

MAX_ELEMENTS: Final = 2000
MAX_CAROUSEL: Final = 20
"""Images of a carousel: each has a style rule for each other one."""

MAX_ATTRIBUTES_CHARS: Final = 4096
"""Characters of the `mj-attributes`, which may come to stand in each element."""

MAX_INLINED_RULES: Final = 200
"""Rules of all `<mj-style inline="inline">`: each is held against each element."""

ENDING: Final = _names("""
    mj-accordion-text mj-accordion-title mj-button mj-navbar-link mj-preview mj-raw mj-social-element mj-style mj-table
    mj-text mj-title
""")
"""Components whose content is HTML or text, not components."""

COMPONENTS: Final = ENDING | _names("""
    mjml mj-head mj-body mj-attributes mj-breakpoint mj-font mj-accordion mj-accordion-element mj-carousel
    mj-carousel-image mj-column mj-divider mj-group mj-hero mj-image mj-navbar mj-section mj-social mj-spacer mj-wrapper
""")

_ONLY_DEFAULTS: Final = frozenset({"mj-all", "mj-class"})
"""What only `mj-attributes` may hold."""

_VOID: Final = _names("area base br col embed hr img input link meta source track wbr")

_MARKUP: Final = re.compile(
    r"""<!--(?P<comment>.*?)-->|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>""",
    re.DOTALL,
)
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_POSITION: Final = re.compile(r"at position (\d+)")
_AT_POSITION: Final = re.compile(r" in root template(?: at position \d+:\d+)?")


def mjml_to_html(source: str) -> str:
    """The HTML of an MJML document whose template tags stand in texts and in the values of attributes.

    Raises Invalid (without a path) that says what is wrong, in which line, and how to mend it.
    """
    words = Words(source)
    _check_markup(words)
    _hide_statements(words)
    html = words.reveal(_compile(words))
    _check_survival(words, html)
    return words.restore(html)


class _Open(msgspec.Struct, frozen=True):
    """An element that has not ended yet; `line` is for whoever forgot to end it."""

    name: str
    position: int


def _check_markup(words: Words) -> None:
    if words.text.rfind("<!--") > words.text.rfind("-->"):
        raise words.refuse(words.text.rfind("<!--"), "a comment has no end")
    stack: list[_Open] = []
    elements = 0
    for match in _MARKUP.finditer(words.text):
        if match["name"] is None:
            continue
        name = match["name"].lower()
        if match["end"]:
            _close(words, stack, name, match.start())
            continue
        elements += 1
        if elements > MAX_ELEMENTS:
            raise words.refuse(match.start(), f"it has more than {MAX_ELEMENTS} elements")
        _check_element(words, stack, match)
        if not match["attributes"].endswith("/") and name not in _VOID:
            stack.append(_Open(name, match.start()))
            if len(stack) > MAX_DEPTH:
                raise words.refuse(match.start(), f"elements stand in one another more than {MAX_DEPTH} deep")
    if stack:
        raise words.refuse(stack[-1].position, f"`<{stack[-1].name}>` has no end")
    _check_amounts(words)


def _close(words: Words, stack: list[_Open], name: str, position: int) -> None:
    if not stack or stack[-1].name != name:
        expected = f"; `<{stack[-1].name}>` ends first" if stack else ""
        raise words.refuse(position, f"`</{name}>` ends nothing here{expected}")
    stack.pop()


def _check_element(words: Words, stack: list[_Open], match: re.Match[str]) -> None:
    name, position = match["name"], match.start()
    around = stack[-1].name if stack else ""
    if name == "mj-include":
        raise words.refuse(position, 'there is no `mj-include`: use a partial, {% include "name" %}')
    if name.startswith("mj") and name not in COMPONENTS | _ONLY_DEFAULTS:
        raise words.refuse(position, f"there is no component `{name}`")
    if name in _ONLY_DEFAULTS and around != "mj-attributes":
        raise words.refuse(position, f"`{name}` belongs into `mj-attributes`")
    ending = next((each.name for each in stack if each.name in ENDING), "")
    if ending and name.startswith("mj"):
        raise words.refuse(position, f"`{ending}` takes HTML, not the component `{name}`")
    if not ending and not name.startswith("mj"):
        raise words.refuse(position, f"`<{name}>` can only stand in mj-text, mj-table or mj-raw")
    if words.pattern.search(_QUOTED.sub("", match["attributes"])):
        raise words.refuse(position, f"in `<{name}>` a tag can only stand in an attribute's quotes")


def _check_amounts(words: Words) -> None:
    text = words.text
    for block in re.finditer(r"<mj-attributes\b.*?</mj-attributes", text, re.DOTALL):
        if len(block.group()) > MAX_ATTRIBUTES_CHARS:
            raise words.refuse(block.start(), f"it has more than {MAX_ATTRIBUTES_CHARS} characters")
    for carousel in re.finditer(r"<mj-carousel\b.*?</mj-carousel\s*>", text, re.DOTALL):
        if carousel.group().count("<mj-carousel-image") > MAX_CAROUSEL:
            raise words.refuse(carousel.start(), f"a carousel takes at most {MAX_CAROUSEL} images")
    styles = "".join(re.findall(r"<mj-style[^>]*\binline\b.*?</mj-style", text, re.DOTALL))
    if styles.count("{") + styles.count(",") > MAX_INLINED_RULES:
        detail = f"its inlined styles have more than {MAX_INLINED_RULES} selectors"
        raise Invalid(detail)


def _hide_statements(words: Words) -> None:
    """Put statements between elements into comments: text in a table would be moved out of it."""
    kept: list[str] = []
    position = 0
    bare = ""
    for match in _MARKUP.finditer(words.text):
        between = words.text[position : match.start()]
        kept += [between if bare else _commented(words, between), match.group()]
        position = match.end()
        name = (match["name"] or "").lower()
        if name in {"mj-style", "mj-title", "mj-preview"}:
            bare = "" if match["end"] else name
    words.text = "".join([*kept, _commented(words, words.text[position:])])


def _commented(words: Words, text: str) -> str:
    def comment(match: re.Match[str]) -> str:
        number = int(match[1])
        return words.hide(number) if is_statement(words.tags[number]) else match.group()

    return words.pattern.sub(comment, text)


def _compile(words: Words) -> str:
    try:
        return mrml.to_html(words.text).content
    except OSError as error:
        detail = _AT_POSITION.sub("", str(error))
        where = _POSITION.search(str(error))
        line = f"line {words.line_at(len(words.reveal(words.text[: int(where[1])])))}: " if where else ""
        hint = "write `<` as &lt;, give each attribute a value in quotes, and end each element"
        message = f"{line}it is no MJML: {detail}; {hint}"
        raise Invalid(message) from None


def _check_survival(words: Words, html: str) -> None:
    found = [int(match[1]) for match in words.pattern.finditer(html)]
    statements = [number for number in found if is_statement(words.tags[number])]
    expected = [number for number, piece in enumerate(words.tags) if is_statement(piece)]
    there = set(found)
    for number, piece in enumerate(words.tags):
        if number not in there or statements.count(number) > 1:
            raise _lost(words, piece)
    if statements != expected:
        moved = next(a for a, b in zip(statements, expected, strict=True) if a != b)
        raise _lost(words, words.tags[moved])


def _lost(words: Words, piece: Piece) -> Invalid:
    tag = words.source[piece.start : piece.end][:80]
    detail = f"MJML drops or moves `{tag}` from here; put it into the content of mj-text, mj-table or mj-raw"
    return Invalid(f"line {piece.line}: {detail}")
