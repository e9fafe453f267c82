"""From an expression to what a store can be asked, and to what has to be judged user by user.

`&&`, `||`, `!` and `?:` are ours; what stands between them are *atoms*. An atom is true or false of a user, never
unknown: one that names what is not set, or that mixes types, is false. So `!x` is true where `x` is not set, and a
comparison is false. An atom that no store can answer gets bounds (at most everybody who has what it names) and is
evaluated by the CEL engine on the opened profile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias, cast

import msgspec

from clarion.audience.cel import FAILED, Call, Field, Fold, ListOf, Node, Program, children, parse, refuse
from clarion.audience.cel import Literal as Constant
from clarion.audience.segments.atoms import Atoms, Value, begins, kind_of
from clarion.audience.segments.conditions import (
    EVERYBODY,
    NOBODY,
    Bounds,
    Comparison,
    Condition,
    all_of,
    any_of,
    exactly,
    negate,
)
from clarion.audience.segments.vocabulary import Ref, find_ref, list_refs, spell_out
from clarion.audience.traits import Trait

Judge: TypeAlias = Callable[[Mapping[str, Any]], bool]

_COMPARISONS: Final[dict[str, Comparison]] = {
    "_==_": "==",
    "_!=_": "!=",
    "_<_": "<",
    "_<=_": "<=",
    "_>_": ">",
    "_>=_": ">=",
}
_MIRRORED: Final[dict[Comparison, Comparison]] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    "<=": ">=",
    ">": "<",
    ">=": "<=",
}
_YES_OR_NO: Final = frozenset({"startsWith", "endsWith", "contains", "matches", "@in", "_[_]", *_COMPARISONS})
_FORGIVING: Final = frozenset({"_&&_", "_||_", "_?_:_", "@not_strictly_false"})
"""These may be true although something below them is not set."""

_FREE: Final[frozenset[str]] = frozenset()


class Compiled(msgspec.Struct, frozen=True):
    """A segment, ready to be asked for. `judge` settles who is between the bounds, on data with what `refs` name."""

    bounds: Bounds
    judge: Judge
    refs: frozenset[Ref]


def compile_segment(text: str, term: Callable[[Trait], bytes], as_of_ms: int) -> Compiled:
    """Compile an expression. `term` blinds a trait for the tenant; `ago` counts from `as_of_ms` (UTC ms).

    Raises Invalid (`expression`) with the place of a mistake and how to mend it.
    """
    tree = parse(text)
    refs = frozenset(list_refs(tree, text))
    now = datetime.fromtimestamp(as_of_ms / 1000, UTC).isoformat()
    part = _Compiler(text, Atoms(text, term, as_of_ms), {"now": now}).part(tree)
    return Compiled(part.bounds, part.judge, refs)


class _Part(msgspec.Struct, frozen=True):
    """What became of a part of the expression that says yes or no."""

    bounds: Bounds
    judge: Judge


class _Evaluated:
    """A judge that asks the engine. Most are never asked: the program is made when the first user comes."""

    def __init__(self, tree: Node) -> None:
        self._tree = tree
        self._program: Program | None = None

    def __call__(self, data: Mapping[str, Any]) -> bool:
        if self._program is None:
            self._program = Program(self._tree)
        return self._program.holds(data)


class _Compiler:
    """Walks one expression. `now` is the data of what needs no user."""

    def __init__(self, text: str, atoms: Atoms, now: Mapping[str, Any]) -> None:
        self._text = text
        self._atoms = atoms
        self._now = now

    def part(self, node: Node) -> _Part:
        """A part that has to say yes or no. Raises Invalid where it cannot."""
        match node:
            case Call(function="_&&_", args=(left, right)):
                return _both(self.part(left), self.part(right))
            case Call(function="_||_", args=(left, right)):
                return _either(self.part(left), self.part(right))
            case Call(function="!_", args=(inner,)):
                return _inverse(self.part(inner))
            case Call(function="_?_:_", args=(asked, yes, no)):
                first, then, otherwise = self.part(asked), self.part(yes), self.part(no)
                return _either(_both(first, then), _both(_inverse(first), otherwise))
            case _:
                return _Part(self._atom(node), _Evaluated(spell_out(node, self._text)))

    def _atom(self, node: Node) -> Bounds:
        ref = find_ref(node, _FREE, self._text)
        if ref is not None and ref.root != "now":
            asks = isinstance(node, Field) and node.test
            return self._atoms.has(ref) if asks else self._atoms.truth(ref, node.at)
        value = self._constant(node)
        if value is not None:
            if not isinstance(value, bool):
                raise refuse(
                    self._text, node.at, f"{kind_of(value)} is no yes or no: compare it with something"
                )
            return exactly(EVERYBODY if value else NOBODY)
        match node:
            case Call(function=function, args=(left, right)) if function in _COMPARISONS:
                return self._comparison(node, _COMPARISONS[function], left, right)
            case Call(function="@in", args=(left, right)):
                return self._membership(node, left, right)
            case Call(function="startsWith", args=(begin,), target=target) if target is not None:
                return self._beginning(node, target, begin)
            case Call(function=function) if function not in _YES_OR_NO:
                raise refuse(self._text, node.at, "this is no yes or no: compare it with something")
            case Fold(start=ListOf()) | ListOf():
                raise refuse(self._text, node.at, "a list is no yes or no: compare its size() with something")
            case _:
                return self._judged(node)

    def _comparison(self, node: Call, comparison: Comparison, left: Node, right: Node) -> Bounds:
        ref, value = self._ref(left), self._constant(right)
        if ref is None:
            ref, value, comparison = self._ref(right), self._constant(left), _MIRRORED[comparison]
        if ref is None or value is None:
            return self._judged(node)
        return self._atoms.compare(ref, comparison, value, node.at)

    def _membership(self, node: Call, item: Node, among: Node) -> Bounds:
        ref, values = self._ref(item), self._constant(among)
        if ref is not None and isinstance(values, list):
            each = [self._atoms.compare(ref, "==", cast("Value", value), node.at) for value in values]
            return Bounds(any_of(one.lower for one in each), any_of(one.upper for one in each))
        ref, value = self._ref(among), self._constant(item)
        if ref is not None and value is not None:
            return self._atoms.holds(ref, value, node.at)
        return self._judged(node)

    def _beginning(self, node: Call, target: Node, begin: Node) -> Bounds:
        ref, value = self._ref(target), self._constant(begin)
        bounds = begins(ref, value) if ref is not None and isinstance(value, str) else None
        return bounds or self._judged(node)

    def _judged(self, node: Node) -> Bounds:
        return Bounds(NOBODY, self._required(node, _FREE))

    def _required(self, node: Node, bound: frozenset[str]) -> Condition:
        """What holds for everybody for whom the node does not fail."""
        ref = find_ref(node, bound, self._text)
        if ref is not None:
            asks = isinstance(node, Field) and node.test
            return EVERYBODY if asks else self._atoms.is_set(ref)
        match node:
            case Fold(over=over):
                return self._required(over, bound)
            case Call(function=function) if function in _FORGIVING:
                return EVERYBODY
            case _:
                return all_of(self._required(child, bound) for child in children(node))

    def _ref(self, node: Node) -> Ref | None:
        """The name that a node is; None for everything else, `now` and has() among it."""
        if isinstance(node, Field) and node.test:
            return None
        ref = find_ref(node, _FREE, self._text)
        return None if ref is None or ref.root == "now" else ref

    def _constant(self, node: Node) -> Value | None:
        """What a node comes to that names nothing but `now`; None for every other. Raises Invalid where it fails."""
        if isinstance(node, Constant) and not isinstance(node.value, bytes | None):
            return node.value
        if any(ref.root != "now" for ref in list_refs(node, self._text)):
            return None
        value = Program(spell_out(node, self._text)).value(self._now)
        if value is FAILED or not isinstance(value, bool | int | float | str | datetime | timedelta | list):
            raise refuse(self._text, node.at, "this cannot be computed: its types or values do not fit")
        return cast("Value", value)


def _both(left: _Part, right: _Part) -> _Part:
    lower = all_of((left.bounds.lower, right.bounds.lower))
    upper = all_of((left.bounds.upper, right.bounds.upper))
    return _Part(Bounds(lower, upper), lambda data: left.judge(data) and right.judge(data))


def _either(left: _Part, right: _Part) -> _Part:
    lower = any_of((left.bounds.lower, right.bounds.lower))
    upper = any_of((left.bounds.upper, right.bounds.upper))
    return _Part(Bounds(lower, upper), lambda data: left.judge(data) or right.judge(data))


def _inverse(part: _Part) -> _Part:
    bounds = Bounds(negate(part.bounds.upper), negate(part.bounds.lower))
    return _Part(bounds, lambda data: not part.judge(data))
