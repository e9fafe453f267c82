"""Size budget: past these sizes the well-kept projects we measured begin to sprawl.

There the 90th percentile of files is 84 to 484 lines, of functions 11 to 46, of parameter lists 2 to 4; what nobody
wants to open are the tails behind it (a service of 3,792 lines and 81 methods, a driver port of 61 methods). The caps
stand just above those percentiles: whoever reaches one has two things in one place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from tools.lint.model import Finding, Module

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Cap:
    """The most of something that one thing may have."""

    rule: str
    most: int
    unit: str


FILE_LINES = Cap("file-lines", 500, "lines")
TEST_FILE_LINES = Cap("file-lines", 600, "lines")
FUNCTION_LINES = Cap("function-lines", 60, "lines")
CLASS_LINES = Cap("class-lines", 250, "lines")
CLASS_METHODS = Cap("class-methods", 15, "methods")
PORT_METHODS = Cap("port-methods", 7, "methods")
PARAMETERS = Cap("parameters", 5, "parameters")


def check(module: Module) -> Iterator[Finding]:
    """Everything in a Python file that is larger than the budget. Lines count from `def` or `class` to the end."""
    cap = TEST_FILE_LINES if module.path.startswith("tests/") else FILE_LINES
    yield from _over(cap, module.path, 1, "", len(module.file.text.splitlines()))
    yield from _check_body(module.path, module.tree, prefix="")


def _check_body(path: str, parent: ast.AST, prefix: str) -> Iterator[Finding]:
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _check_body(path, node, prefix)
            continue
        name = f"{prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _check_class(path, name, node)
        else:
            yield from _over(FUNCTION_LINES, path, node.lineno, name, _lines(node))
            count = _parameters(node, is_method=isinstance(parent, ast.ClassDef))
            yield from _over(PARAMETERS, path, node.lineno, name, count)
        yield from _check_body(path, node, f"{name}.")


def _check_class(path: str, name: str, node: ast.ClassDef) -> Iterator[Finding]:
    methods = sum(isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) for item in node.body)
    yield from _over(CLASS_LINES, path, node.lineno, name, _lines(node))
    yield from _over(PORT_METHODS if _is_port(node) else CLASS_METHODS, path, node.lineno, name, methods)


def _over(cap: Cap, path: str, line: int, name: str, value: int) -> Iterator[Finding]:
    if value > cap.most:
        what = name or "file"
        message = f"{what} has {value} {cap.unit}, the budget is {cap.most}"
        yield Finding(path, line, cap.rule, message, name, value)


def _lines(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _parameters(node: Function, *, is_method: bool) -> int:
    arguments = node.args
    count = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    count += (arguments.vararg is not None) + (arguments.kwarg is not None)
    static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
    return count - (is_method and not static)


def _is_port(node: ast.ClassDef) -> bool:
    """Whether a class is a `Protocol` of typing, plain or generic; those of asyncio are no ports."""
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    return any(ast.unparse(base) in {"Protocol", "typing.Protocol"} for base in bases)
