"""The part of MiniJinja that templates may use, and why the rest is refused.

Fuel bounds how many steps a rendering takes, not how large a value a step makes: `{% set x = x ~ x %}` thirty times is
a gigabyte, and a failed allocation aborts the worker with everybody's messages in it. So what could multiply itself
without bound is no part of the language (macros, recursion, `namespace`, repetition by a variable), and what is left is
straight-line code whose growth is computed here, before the template is stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise
from typing import Final

from clarion.kernel.errors import Invalid
from clarion.templates.syntax import KEYWORDS, QUOTES, Tag, is_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


STATEMENTS: Final = _words("""
    if elif else endif for endfor break continue set endset with endwith filter endfilter raw endraw
""")

NATIVE_FILTERS: Final = _words("""
    abs bool capitalize count d default e escape filesizeformat first float groupby int last length lower map max min
    pluralize reject rejectattr reverse round safe select selectattr sort string striptags sum title trim unique upper
""")
"""Filters of the engine whose result is no larger than a small multiple of what they are given."""

OWN_FILTERS: Final = _words("""
    batch dictsort format indent items join lines list replace slice split times tojson truncate urlencode
""")
"""Filters of `templates.filters`. All but `times` replace the engine's own: memory bombs, those that take none of
our maps, and `urlencode`, which makes text of a list without a word."""

FILTERS: Final = NATIVE_FILTERS | OWN_FILTERS

REMOVED_FILTERS: Final = _words("attr chain pprint wordwrap zip")
REMOVED_FUNCTIONS: Final = _words("cycler debug joiner namespace")

_SWEEPING: Final = _words(
    "groupby in map max min reject rejectattr reverse select selectattr sort sum unique"
)
_FREE_SWEEPS: Final = 32

TESTS: Final = _words("""
    boolean defined divisibleby endingwith eq equalto even false float ge greaterthan gt in int integer iterable le
    lessthan lower lt mapping ne none number odd sameas sequence startingwith string true undefined upper
""")

FUNCTIONS: Final = _words("dict range")
LOOP_METHODS: Final = _words("changed cycle")

MAX_GROWTH: Final = 128
"""How many variables' worth of text one tag may put together, counting what earlier tags put together."""

MAX_TOTAL_GROWTH: Final = 1024
"""The same over all tags that keep their result under a name."""

TIMES: Final = "*"
MAX_FACTOR: Final = 100
"""Largest number that `*` takes. With a variable on both sides it could repeat a text a hundred million times."""

_CONTROL_ESCAPE: Final = re.compile(r"""\\(?!["'\\/nt])""")
_BINDERS: Final = _words("set with for")
_CONSTANTS: Final = _words("true false none True False None")


def check_language(tags: list[Tag], path: str) -> None:
    """Raises Invalid at `path` for the first tag that uses what templates cannot use, with its line and the remedy."""
    for tag in tags:
        _check_statement(tag, path)
        _check_names(tag, path)
        _check_operators(tag, path)
    _check_growth(tags, path)


def sweeps_lists(tags: list[Tag]) -> bool:
    """Whether a template looks at whole lists in loops, or very often: then long lists leave it less fuel."""
    depth = sweeps = 0
    for tag in tags:
        depth += {"for": 1, "endfor": -1}.get(tag.word, 0)
        inner = sum(token in _SWEEPING for token in tag.tokens) - (tag.word == "for")
        if inner and (depth > 1 or (depth and tag.word != "for")):
            return True
        sweeps += inner
    return sweeps > _FREE_SWEEPS


def _refuse(tag: Tag, path: str, detail: str) -> Invalid:
    return Invalid(f"line {tag.line}: {detail}", path)


def _unknown(tag: Tag, path: str, what: str, known: frozenset[str]) -> Invalid:
    kind, _, name = what.partition(" ")
    close = get_close_matches(name, known, 1)
    hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(sorted(known))}"
    return _refuse(tag, path, f"no {kind} `{name}`; {hint}")


def _check_statement(tag: Tag, path: str) -> None:
    if tag.kind == "output":
        return
    if tag.word not in STATEMENTS:
        raise _unknown(tag, path, f"statement {tag.word}", STATEMENTS)
    if tag.word == "for" and "recursive" in tag.tokens:
        raise _refuse(tag, path, "loops cannot be recursive; write one loop inside another")


def _check_names(tag: Tag, path: str) -> None:
    # Padded, so that each token has two before it and one after it.
    tokens = ("", "", *tag.tokens, "")
    for i, token in enumerate(tokens):
        if not is_name(token):
            continue
        if tokens[i - 1] == "|" or (tag.word == "filter" and tokens[i - 2 : i] == ("", "filter")):
            if token not in FILTERS:
                raise _unknown(tag, path, f"filter {token}", FILTERS)
        elif _is_test(tokens, i):
            if token not in TESTS:
                raise _unknown(tag, path, f"test {token}", TESTS)
        elif tokens[i + 1] == "(":
            _check_call(tag, path, tokens, i)
        elif token in FUNCTIONS and tokens[i - 1] != ".":
            raise _refuse(tag, path, f"`{token}` is a function; call it, or read `data.{token}`")


def _is_test(tokens: tuple[str, ...], i: int) -> bool:
    before = tokens[i - 1]
    return (before == "is" and tokens[i] != "not") or (before == "not" and tokens[i - 2] == "is")


def _check_call(tag: Tag, path: str, tokens: tuple[str, ...], i: int) -> None:
    name = tokens[i]
    if tokens[i - 1] == ".":
        if tokens[i - 2] != "loop" or name not in LOOP_METHODS:
            detail = f"`.{name}()` cannot be called; use a filter: `value|{name}`"
            raise _refuse(tag, path, detail)
    elif name not in FUNCTIONS | KEYWORDS:
        raise _unknown(tag, path, f"function {name}", FUNCTIONS)


def _check_operators(tag: Tag, path: str) -> None:
    allowed = 1 if tag.word in {"if", "for"} else 0
    if tag.tokens.count("if") - allowed > tag.tokens.count("else"):
        raise _refuse(tag, path, "an `if` inside an expression needs an `else`, such as `else ''`")
    for i, token in enumerate(tag.tokens):
        if token == TIMES and not (_is_factor(tag.tokens, i - 1) or _is_factor(tag.tokens, i + 1)):
            detail = (
                f"`*` takes a number up to {MAX_FACTOR} written beside it; else use `price|times(quantity)`"
            )
            raise _refuse(tag, path, detail)
        if token[0] in QUOTES and _CONTROL_ESCAPE.search(token):
            raise _refuse(
                tag,
                path,
                "in a string only \\n, \\t, \\\\ and quotes are escaped; write the character itself",
            )


def _is_factor(tokens: tuple[str, ...], i: int) -> bool:
    return 0 <= i < len(tokens) and _factor(tokens[i]) <= MAX_FACTOR


def _factor(token: str) -> float:
    """The number that a token is; infinity where it is none."""
    try:
        return float(token)
    except ValueError:
        return float("inf")


def _check_growth(tags: list[Tag], path: str) -> None:
    total = 0
    for tag, weight in weights_of(tags):
        if weight > MAX_GROWTH:
            detail = f"this tag puts together more than {MAX_GROWTH} values; print them one after the other"
            raise _refuse(tag, path, detail)
        if tag.word in _BINDERS:
            total += weight
    if total > MAX_TOTAL_GROWTH:
        raise Invalid(f"its `set`, `with` and `for` tags keep more than {MAX_TOTAL_GROWTH} values", path)


def weights_of(tags: list[Tag]) -> Iterator[tuple[Tag, int]]:
    """Each tag with its weight: how many variables' worth of text it may put together.

    A name weighs what the names in its expression weigh together; unknown ones (the variables) weigh one. A loop's or
    a `with`'s names end with it, so no name feeds on itself but in the order of the text.
    """
    weights: dict[str, int] = {}
    for tag in tags:
        bound, expression = _split_binding(tag)
        weight = _weigh(expression, weights)
        weights |= dict.fromkeys(bound, max(weight, 1))
        yield tag, weight


def _split_binding(tag: Tag) -> tuple[list[str], tuple[str, ...]]:
    """The names that a tag binds, and the tokens of what they may hold (all of its tokens where it binds none)."""
    tokens = tag.tokens
    if tag.word == "with":
        # `with a = x, b = y`: each takes the weight of both, which is at most too much.
        return [name for name, sign in pairwise(tokens) if sign == "="], tokens[1:]
    if tag.word not in {"set", "for"}:
        return [], tokens
    sign = "in" if tag.word == "for" else "="
    split = tokens.index(sign) if sign in tokens else len(tokens)
    return [token for token in tokens[1:split] if is_name(token)], tokens[split + 1 :]


def _weigh(tokens: tuple[str, ...], weights: dict[str, int]) -> int:
    weight = 0
    factor = 1.0
    before = ""
    for i, token in enumerate(tokens):
        if is_name(token) and before not in {".", "|"} and token not in KEYWORDS | _CONSTANTS:
            weight += weights.get(token, 1)
        elif token == TIMES:
            factor *= max(1.0, min(_factor(side) for side in tokens[max(0, i - 1) : i + 2]))
        before = token
    return int(max(weight, 1) * factor) if factor > 1 else weight
