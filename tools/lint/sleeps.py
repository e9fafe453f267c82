"""Tests do not sleep: they wait for a signal, poll with a deadline, or move the clock.

A sleep is either too short on a busy machine (the test fails once a week and is then ignored) or too long everywhere
else. `asyncio.sleep(0)`, which only lets others run, is no wait and is allowed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.model import Finding, Module, dotted_name

SLEEPS: Final = frozenset({"time.sleep", "asyncio.sleep", "anyio.sleep", "trio.sleep"})


def check(module: Module) -> Iterator[Finding]:
    """Calls in `tests/` that let time pass."""
    if not module.path.startswith("tests/"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and (name := dotted_name(node.func, module)) in SLEEPS:
            is_yield = name != "time.sleep" and [ast.unparse(argument) for argument in node.args] == ["0"]
            if not is_yield:
                message = f"{name} in a test: wait for what you expect, with a deadline"
                yield Finding(module.path, node.lineno, "sleep-in-test", message)
