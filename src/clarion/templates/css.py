"""Style rules put into the elements that they are for: many mail clients drop `<style>`.

Where it shows from an element's own tag which rules match it (`p`, `.box`, `td.price`), rules are inlined once, into
the template, and rendering costs nothing more. Where it takes the document (`.box td`, `:first-child`, a class that a
variable names), they are inlined after each rendering, by css-inline. This is the one place that knows it.

What cannot be inlined (`@media`, `:hover`) stays, and so does a `<style data-css-inline="ignore">` as a whole.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

import msgspec
from css_inline import CSSInliner, InlineError

from clarion.kernel.errors import Invalid
from clarion.templates.elements import Element, attributes_of, read_elements, value_of
from clarion.templates.model import MAX_MADE_BYTES
from clarion.templates.words import Words, is_statement

MAX_SELECTORS: Final = 300
"""Selectors of a template: each may have to be held against each element."""

MAX_ELEMENTS: Final = 5000
MAX_DEPTH: Final = 100
"""Larger mails keep their rules in `<style>`. css-inline dies by a signal between 1 000 and 20 000 elements deep."""

MAX_WRITTEN: Final = 16 * 1024 * 1024
"""Characters of rules, for each element: what inlining may write at the very worst."""

_AFTER: Final = ' data-inline="after"'
"""Marks the style elements whose rules are inlined after each rendering. No mail shows it."""

_NOT_A_SHEET: Final = re.compile(
    r"data-css-inline|\bmedia\s*=|\btype\s*=\s*[\"']?(?!text/css)", re.IGNORECASE
)
_CSS_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_PLAIN_SELECTOR: Final = re.compile(r"(?=[a-z.#])([a-z][\w-]*)?((?:[.#][a-z_-][\w-]*)*)", re.IGNORECASE)
_LATER_STATE: Final = re.compile(
    r"::|:(?:hover|active|focus|focus-within|focus-visible|visited|link|checked|target|before|after)\b",
    re.IGNORECASE,
)
_DECLARATION: Final = re.compile(r"""(?:[^;"'(]|"[^"]*"|'[^']*'|\([^()]*\))+""")
_NESTED_PARENTHESES: Final = re.compile(r"\([^()]*\(")
_IMPORTANT: Final = re.compile(r"\s*!\s*important\s*\Z", re.IGNORECASE)
_NEVER_STYLED: Final = frozenset(
    {"html", "head", "meta", "link", "base", "title", "style", "script", "textarea"}
)
_VOID_OR_IMPLIED: Final = re.compile(
    r"<(/?)(?!(?:area|base|br|col|embed|hr|img|input|link|meta|source|track|wbr)\b)[a-z]", re.IGNORECASE
)

_INLINER: Final = CSSInliner(
    load_remote_stylesheets=False,
    keep_link_tags=True,
    keep_style_tags=True,
    keep_at_rules=True,
    remove_inlined_selectors=True,
)


class _Rule(msgspec.Struct, frozen=True):
    """One selector with its declarations (name, value, whether it is important)."""

    tag: str
    classes: frozenset[str]
    ident: str
    rank: tuple[int, int, int, int]
    declarations: tuple[tuple[str, str, bool], ...]


class _Sheet(msgspec.Struct, frozen=True):
    """A style element: where it stands, its at-rules, and its other rules (selectors and declarations)."""

    element: Element
    at_rules: list[str]
    rules: list[tuple[list[str], str]]


class _NeedsDocument(Exception):  # noqa: N818  no error: which of two ways to take
    """Which rules match shows only in the rendered document."""


def inline_styles(source: str) -> str:
    """The source of a mail with its rules inlined, or marked for `inline_after`. Its lines keep their numbers.

    Raises Invalid (without a path) where there are too many selectors, or where it would grow beyond all bounds.
    """
    if "<style" not in source and "<STYLE" not in source:
        return source
    words = Words(source)
    elements = list(read_elements(words.text))
    sheets = [
        each for each in elements if each.css and "{" in each.css and not _NOT_A_SHEET.search(each.attributes)
    ]
    if not sheets:
        return source
    if sum(_count_selectors(each.css or "") for each in sheets) > MAX_SELECTORS:
        detail = f"its style has more than {MAX_SELECTORS} selectors"
        raise Invalid(detail)
    try:
        return words.restore(_inline_now(words, elements, [_read_sheet(words, each) for each in sheets]))
    except _NeedsDocument:
        marked = words.text
        for each in reversed(sheets):
            place = each.start + len("<style")
            marked = marked[:place] + _AFTER + marked[place:]
        return words.restore(marked)


def _count_selectors(css: str) -> int:
    return css.count("{") + css.count(",")


def needs_inlining(source: str) -> bool:
    """Whether the rules of a mail are to be inlined after rendering it."""
    return _AFTER in source


def inline_after(html: str) -> str:
    """A rendered mail with its rules inlined; as it is where it is too large or too deep for that."""
    sheets = sum(len(each.css) for each in read_elements(html) if each.css)
    elements = html.count("<")
    if elements > MAX_ELEMENTS or elements * sheets > MAX_WRITTEN or _depth(html) > MAX_DEPTH:
        return html.replace(_AFTER, "")
    try:
        inlined = _INLINER.inline(html)
    except InlineError:
        return html.replace(_AFTER, "")
    return inlined.replace(f"<style{_AFTER}></style>", "").replace(_AFTER, "")


def _depth(html: str) -> int:
    """How deep elements stand in one another at most, if none that could be left out is."""
    if html.count("<") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for match in _VOID_OR_IMPLIED.finditer(html):
        depth += -1 if match[1] else 1
        deepest = max(deepest, depth)
    return deepest


def _inline_now(words: Words, elements: list[Element], sheets: list[_Sheet]) -> str:
    if any("safe" in piece.tag.tokens for piece in words.tags if piece.tag is not None):
        raise _NeedsDocument
    rules = _index(sheets)
    used: set[int] = set()
    edits: list[tuple[int, int, str]] = []
    grown = 0
    for each in elements:
        mine = _rules_of(words, each, rules) if each.name not in _NEVER_STYLED else []
        if not mine:
            continue
        used.update(rule.rank[-1] for rule in mine)
        attributes = _with_style(each.attributes, mine)
        edits.append((each.place, each.place + len(each.attributes), attributes))
        grown += len(attributes)
        if grown > MAX_MADE_BYTES:
            detail = f"with its style in each element it has more than {MAX_MADE_BYTES} bytes"
            raise Invalid(detail)
    return _edited(words.text, edits + _rests_of(sheets, used))


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    """A text with stretches of it replaced."""
    kept: list[str] = []
    position = 0
    for start, end, instead in sorted(edits):
        kept += [text[position:start], instead]
        position = end
    return "".join([*kept, text[position:]])


def _read_sheet(words: Words, element: Element) -> _Sheet:
    css = element.css or ""
    if (
        words.pattern.search(element.attributes)
        or words.pattern.search(css)
        or _NESTED_PARENTHESES.search(css)
    ):
        raise _NeedsDocument
    sheet = _Sheet(element, [], [])
    # An open comment reaches to the end.
    css = _CSS_COMMENT.sub(" ", css + "*/" if css.rfind("/*") > css.rfind("*/") else css)
    position = 0
    while css[position:].strip():
        position += len(css[position:]) - len(css[position:].lstrip())
        if css[position] == "@":
            end = _end_of_at_rule(css, position)
            sheet.at_rules.append(css[position:end].strip())
        else:
            opening, closing = css.find("{", position), css.find("}", position)
            if not position < opening < closing:
                raise _NeedsDocument
            selectors = [selector.strip() for selector in css[position:opening].split(",")]
            sheet.rules.append((selectors, css[opening + 1 : closing].strip()))
            end = closing + 1
        position = end
    return sheet


def _end_of_at_rule(css: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"[;{}]").finditer(css, start):
        sign = match.group()
        depth += {"{": 1, "}": -1, ";": 0}[sign]
        if depth == 0:
            return match.end()
    raise _NeedsDocument


def _index(sheets: list[_Sheet]) -> dict[str, list[_Rule]]:
    """The rules by an id, class or tag that their elements must have."""
    rules: dict[str, list[_Rule]] = defaultdict(list)
    for order, (selector, declarations) in enumerate(_selectors(sheets)):
        if _LATER_STATE.search(selector):
            continue
        match = _PLAIN_SELECTOR.fullmatch(selector)
        if match is None:
            raise _NeedsDocument
        tag, rest = (match[1] or "").lower(), match[2]
        classes = frozenset(re.findall(r"\.([\w-]+)", rest))
        idents = re.findall(r"#([\w-]+)", rest)
        if len(idents) > 1:
            raise _NeedsDocument
        ident = idents[0] if idents else ""
        key = f"#{ident}" if ident else f".{min(classes)}" if classes else tag
        rank = (len(idents), len(classes), bool(tag), order)
        rules[key].append(_Rule(tag, classes, ident, rank, tuple(_declarations(declarations))))
    return rules


def _selectors(sheets: list[_Sheet]) -> Iterator[tuple[str, str]]:
    for sheet in sheets:
        for selectors, declarations in sheet.rules:
            for selector in selectors:
                yield selector, declarations


def _declarations(css: str) -> Iterator[tuple[str, str, bool]]:
    for match in _DECLARATION.finditer(css):
        name, colon, value = match.group().partition(":")
        if colon and name.strip() and value.strip():
            plain = _IMPORTANT.sub("", value).strip()
            yield name.strip().lower(), plain, plain != value.strip()


def _rules_of(words: Words, element: Element, rules: dict[str, list[_Rule]]) -> list[_Rule]:
    """The rules that match an element, those that win last."""
    attributes = attributes_of(element.attributes)
    _check_attributes(words, attributes)
    classes = frozenset(value_of(attributes, "class").split())
    ident, tag = value_of(attributes, "id"), element.name
    keys = (tag, f"#{ident}", *(f".{name}" for name in classes))
    candidates = [rule for key in keys for rule in rules.get(key, ())]
    return sorted(
        (
            rule
            for rule in candidates
            if rule.classes <= classes and rule.tag in {"", tag} and rule.ident in {"", ident}
        ),
        key=lambda rule: rule.rank,
    )


def _check_attributes(words: Words, attributes: dict[str, re.Match[str]]) -> None:
    for name, found in attributes.items():
        value = found[2] or ""
        if words.pattern.search(name) or (name in {"class", "id"} and words.pattern.search(value)):
            raise _NeedsDocument
        if name == "style" and any(
            is_statement(words.tags[int(each[1])]) for each in words.pattern.finditer(value)
        ):
            raise _NeedsDocument


def _with_style(text: str, rules: list[_Rule]) -> str:
    """The attributes of an element with what its rules say in `style`, around what it says itself."""
    style = attributes_of(text).get("style")
    normal: dict[str, str] = {}
    important: dict[str, str] = {}
    for rule in rules:
        for name, value, is_important in rule.declarations:
            said = important if is_important else normal
            said.pop(name, None)  # what is said last, comes last: `margin` before `margin-top`
            said[name] = value
    first, last = _written(normal), _written(important)
    if style is None or not style[2]:
        body = text.rstrip("/ \t\n")
        joined = ";".join(filter(None, (first, last)))
        return f'{body} style="{_escaped(joined, chr(34))}"{text[len(body) :]}'
    quote = style[2][0] if style[2][0] in "\"'" else '"'
    own = style[2].strip("\"'").strip().rstrip(";")
    joined = ";".join(filter(None, (_escaped(first, quote), own, _escaped(last, quote))))
    return f"{text[: style.start(2)]}{quote}{joined}{quote}{text[style.end(2) :]}"


def _written(said: dict[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in said.items())


def _escaped(css: str, quote: str) -> str:
    other = "'" if quote == '"' else '"'
    return css.replace("&", "&amp;").replace("<", "&lt;").replace(quote, other)


def _rests_of(sheets: list[_Sheet], used: set[int]) -> list[tuple[int, int, str]]:
    """What stays of each style element, on as many lines as it had."""
    edits: list[tuple[int, int, str]] = []
    order = 0
    for sheet in sheets:
        rest = list(sheet.at_rules)
        for selectors, declarations in sheet.rules:
            left = [selector for i, selector in enumerate(selectors, order) if i not in used]
            order += len(selectors)
            if left:
                rest.append(f"{','.join(left)}{{{declarations}}}")
        element = sheet.element
        text = f"<style{element.attributes}>{' '.join(rest)}</style>" if rest else ""
        had = element.attributes.count("\n") + (element.css or "").count("\n")
        edits.append((element.start, element.end, text + "\n" * (had - text.count("\n"))))
    return edits
