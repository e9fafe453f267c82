"""Evaluating a tree, or a part of one, on data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cel_expr_python.cel import Type

from clarion.audience.cel.parse import environment
from clarion.audience.cel.tree import Node
from clarion.audience.cel.wire import write_tree

FAILED: Final = object()
"""What comes of an expression that names what is not there, or mixes types."""


class Program:
    """A tree, ready to run.

    Give it plain maps, lists and scalars (times as text), and no more than it names: the engine converts all of it
    each time, 1 µs a value.
    """

    def __init__(self, tree: Node) -> None:
        self._expression = environment().deserialize(write_tree(tree))

    def value(self, data: Mapping[str, Any]) -> Any:  # noqa: ANN401  whatever the expression gives
        """What the expression gives on `data`, or FAILED."""
        value, error = self.evaluate(data)
        return FAILED if error else value

    def evaluate(self, data: Mapping[str, Any]) -> tuple[Any, str]:
        """What the expression gives on `data` and "", or the engine's own word for why it gives nothing."""
        result = self._expression.eval(data=dict(data))
        return (
            (None, str(result.plain_value())) if result.type() == Type.ERROR else (result.plain_value(), "")
        )

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether the expression is true on `data`: what fails or is no yes or no is not."""
        return self.value(data) is True
