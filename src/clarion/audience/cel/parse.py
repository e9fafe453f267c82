"""Reading an expression: what is allowed in one, and what is wrong with one, in words that help to mend it.

The limits are those that hold against expressions made to exhaust us (measured, ADR 0004): the engine bounds loops and
nesting, but not the size of what is put together in them.
"""

from __future__ import annotations

import difflib
import re
from functools import cache
from typing import Final

from cel_expr_python.cel import Env, NewEnv

from clarion.audience.cel.tree import Call, Fold, ListOf, Literal, Node, walk
from clarion.audience.cel.wire import read_tree
from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable

MAX_LENGTH: Final = 1000
MAX_FOLDS: Final = 1
MAX_ADDITIONS: Final = 10
"""Each may double a text, for each of a list's 100 items."""

MAX_ITEMS: Final = 100
MAX_PATTERN: Final = 200
MAX_REPEAT: Final = 100

OPERATORS: Final = frozenset(
    {
        *("_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_[_]"),
        *("_+_", "_-_", "_*_", "_/_", "_%_", "-_", "@not_strictly_false"),
    }
)

FUNCTIONS: Final = {
    **dict.fromkeys(("size", "int", "double", "string", "timestamp", "duration", "ago"), 1),
    **dict.fromkeys(("startsWith", "endsWith", "contains", "matches"), 2),
}
"""What may be called by name, and the number of its arguments, the target of a method among them."""

PARTS_OF_TIME: Final = frozenset(
    {
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds"),
    }
)

_MACROS: Final = ("has", "exists", "all", "exists_one", "filter")

_TEXT: Final = re.compile(
    r"[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\")", re.DOTALL
)
_MAP: Final = re.compile(r"\.\s*map\s*\(")
_PLACE: Final = re.compile(r"<input>:(\d+):(\d+): (.*)")
_REPEAT: Final = re.compile(r"\{(\d+)")
_WORD: Final = re.compile(r"\w+|\W")

_MENDED: Final = {
    "=": "write == to compare",
    "&": "write && for “and”",
    "|": "write || for “or”",
    "and": "write && for “and”",
    "or": "write || for “or”",
    "not": "write ! for “not”",
    "is": "write == to compare",
    "like": 'write name.contains("text")',
    "“": "write straight quotation marks",
    "”": "write straight quotation marks",
    "’": "write straight quotation marks",
    ";": "leave it out",
}


@cache
def environment() -> Env:
    """The engine. Types and names are settled when an expression is evaluated."""
    return NewEnv()


def place_of(text: str, at: int) -> str:
    """Where the character number `at` of an expression stands, for people."""
    before = text[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


def parse(text: str) -> Node:
    """The tree of an expression. Raises Invalid (`expression`) with the place of a mistake and how to mend it."""
    if not text.strip():
        raise Invalid('is empty: write a condition such as user.plan == "pro"', "expression")
    if len(text) > MAX_LENGTH:
        raise Invalid(f"has {len(text)} characters, where {MAX_LENGTH} are the most", "expression")
    check_storable(text, "expression")
    found = _MAP.search(_TEXT.sub(lambda quoted: "'" * len(quoted[0]), text))
    if found is not None:
        raise refuse(text, found.start() + 1, "map() is not allowed: use exists(), all() or filter()")
    try:
        parsed = environment().compile(text, disable_check=True).serialize()
    except RuntimeError as error:
        raise _explain(text, str(error)) from None
    tree = read_tree(parsed)
    _check(text, tree)
    return tree


def refuse(text: str, at: int, detail: str) -> Invalid:
    """What is wrong at the character number `at`."""
    return Invalid(f"{place_of(text, at)}: {detail}", "expression")


def _explain(text: str, error: str) -> Invalid:
    found = _PLACE.search(error)
    if found is None:
        return Invalid("is too long or nested too deeply", "expression")
    line, column, message = int(found[1]), int(found[2]), found[3]
    lines = text.split("\n")
    if line > len(lines):
        return Invalid("is nested too deeply", "expression")
    at = sum(len(above) + 1 for above in lines[: line - 1]) + column - 1
    word = _WORD.match(text, at)
    if "has()" in message:
        detail = "has() takes a field: write has(user.plan); a name by itself can be asked with !name"
    elif word is None:
        detail = "the expression ends too early"
    elif word[0].lower() in _MENDED:
        detail = f"{word[0]} is not understood here: {_MENDED[word[0].lower()]}"
    else:
        detail = f"{word[0]} is not understood here"
    return refuse(text, at, detail)


def _check(text: str, tree: Node) -> None:
    """Pass a tree that keeps to the limits. Raises Invalid with the place of what does not."""
    folds = additions = 0
    for node in walk(tree):
        match node:
            case Fold():
                folds += 1
                if folds > MAX_FOLDS:
                    raise refuse(text, node.at, "one exists(), all() or filter() at most")
            case ListOf(items=items) if len(items) > MAX_ITEMS:
                raise refuse(text, node.at, f"a list has {MAX_ITEMS} items at most")
            case Literal(value=None):
                raise refuse(text, node.at, "null is not used here: write has(user.plan) or !has(user.plan)")
            case Literal(value=bytes()):
                raise refuse(text, node.at, 'bytes are not used here: write "text" without the b')
            case Call():
                _check_call(text, node)
                additions += node.function == "_+_"
            case _:
                continue
    # Each fold that lists something adds once by itself.
    if additions > MAX_ADDITIONS + folds:
        raise refuse(text, tree.at, f"{MAX_ADDITIONS} additions at most")


def _check_call(text: str, call: Call) -> None:
    name = call.function
    if name in OPERATORS:
        return
    count = len(call.args) + (call.target is not None)
    if name in PARTS_OF_TIME:
        if count not in {1, 2}:
            raise refuse(text, call.at, f"{name}() takes a time and, if you like, the name of a time zone")
        return
    known = FUNCTIONS.get(name)
    if known is None:
        names = sorted({*FUNCTIONS, *PARTS_OF_TIME, *_MACROS})
        close = difflib.get_close_matches(name, names, 1, 0.6)
        hint = f"did you mean {close[0]}()?" if close else f"there are {', '.join(names)}"
        raise refuse(text, call.at, f"there is no function {name}(): {hint}")
    if count != known:
        raise refuse(text, call.at, f"{name}() takes {known} argument{'s' * (known > 1)}, not {count}")
    if name == "matches":
        _check_pattern(text, call.args[-1])


def _check_pattern(text: str, pattern: Node) -> None:
    if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
        raise refuse(text, pattern.at, "matches() takes a pattern that is written out")
    repeats = [int(found) for found in _REPEAT.findall(pattern.value)]
    if len(pattern.value) > MAX_PATTERN or len(repeats) > 1 or any(n > MAX_REPEAT for n in repeats):
        detail = f"a pattern has {MAX_PATTERN} characters at most, and one count such as {{2,5}} up to {MAX_REPEAT}"
        raise refuse(text, pattern.at, detail)
