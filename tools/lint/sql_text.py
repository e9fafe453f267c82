"""SQL is never put together from values: it is a constant from a `.sql` file, and values are parameters.

One formatted value from a request is an injection; one from our own code still makes a statement that Postgres plans
anew each time and that no reader finds in the `.sql` files. Where a name has to vary (a partition, a role), let the
server quote it: `select format('… %I …', $1)`, then execute the text that comes back.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.model import Finding, Module

METHODS: Final = frozenset(
    {"execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "prepare", "cursor"}
)
"""asyncpg's methods whose first argument is SQL."""


def check(module: Module) -> Iterator[Finding]:
    """Calls in `src/` whose first argument is text formatted on the spot, or a name bound to such text."""
    if not module.path.startswith("src/"):
        return
    formatted = {
        target.id
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assign) and _is_formatted(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=method), args=[sql, *_]) if method in METHODS:
                if _is_formatted(sql) or (isinstance(sql, ast.Name) and sql.id in formatted):
                    message = f"{method}() of formatted SQL: pass values as parameters"
                    yield Finding(module.path, node.lineno, "sql-text", message)
            case _:
                continue


def _is_formatted(node: ast.expr) -> bool:
    match node:
        case ast.JoinedStr(values=parts):
            return any(isinstance(part, ast.FormattedValue) for part in parts)
        case ast.BinOp(left=left, op=ast.Mod()):
            return _is_text(left)
        case ast.BinOp(op=ast.Add()):
            terms = list(_terms(node))
            return any(map(_is_text, terms)) and not all(map(_is_constant, terms))
        case ast.Call(func=ast.Attribute(value=owner, attr="format")):
            return _is_text(owner)
        case _:
            return False


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    """What a chain of `+` adds up."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or _is_constant(node)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
