"""What a CEL expression is made of. A tree, so that a part of it can be asked of a store and the rest evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

Constant: TypeAlias = bool | int | float | str | bytes | None


class Literal(msgspec.Struct, frozen=True):
    """A constant as it is written. `at`: where, as an offset into the text; so it is for every node."""

    value: Constant
    at: int = 0


class Name(msgspec.Struct, frozen=True):
    """A name that stands by itself."""

    name: str
    at: int = 0


class Field(msgspec.Struct, frozen=True):
    """`of.name`; with `test`, `has(of.name)`."""

    of: Node
    name: str
    test: bool = False
    at: int = 0


class Call(msgspec.Struct, frozen=True):
    """An operator (`_&&_`, `!_`, `_[_]`, `@in`), a function, or with `target` a method."""

    function: str
    args: tuple[Node, ...]
    target: Node | None = None
    at: int = 0


class ListOf(msgspec.Struct, frozen=True):
    """`[a, b]`."""

    items: tuple[Node, ...]
    at: int = 0


class Fold(msgspec.Struct, frozen=True):
    """`exists`, `all`, `exists_one` or `filter`, as the parser spells it out: `variable` is each item of `over`."""

    variable: str
    over: Node
    result_name: str
    start: Node
    go_on: Node
    step: Node
    result: Node
    at: int = 0


Node: TypeAlias = Literal | Name | Field | Call | ListOf | Fold


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below a node, in the order of the text."""
    match node:
        case Field(of=of):
            return (of,)
        case Call(args=args, target=target):
            return args if target is None else (target, *args)
        case ListOf(items=items):
            return items
        case Fold():
            return (node.over, node.start, node.go_on, node.step, node.result)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)
