"""CEL, Google's Common Expression Language, within limits: the language of segments."""

from __future__ import annotations

from clarion.audience.cel.evaluate import FAILED, Program
from clarion.audience.cel.parse import parse, refuse
from clarion.audience.cel.tree import Call, Field, Fold, ListOf, Literal, Name, Node, children, walk

__all__ = [
    "FAILED",
    "Call",
    "Field",
    "Fold",
    "ListOf",
    "Literal",
    "Name",
    "Node",
    "Program",
    "children",
    "parse",
    "refuse",
    "walk",
]
