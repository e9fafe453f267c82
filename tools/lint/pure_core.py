"""Features read no clock and roll no dice: both come in as arguments.

A decision that asks the machine for the time can be neither replayed nor tested on the night of a clock change, and a
worker whose wall clock is 30 s off would send early. Due times and leases follow the store's clock (`kernel.clock`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from tools.lint.model import Finding, Module, dotted_name

CLOCKS: Final = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "datetime.datetime.now",
        "datetime.datetime.utcnow",
        "datetime.datetime.today",
        "datetime.date.today",
    }
)
DICE: Final = frozenset(
    {
        "os.urandom",
        "random.choice",
        "random.choices",
        "random.randint",
        "random.random",
        "random.randrange",
        "random.sample",
        "random.shuffle",
        "random.uniform",
        "secrets.choice",
        "secrets.randbelow",
        "secrets.token_bytes",
        "secrets.token_hex",
        "secrets.token_urlsafe",
        "uuid.uuid1",
        "uuid.uuid4",
    }
)
SOURCES: Final = frozenset({"src/clarion/kernel/clock.py", "src/clarion/kernel/ids.py"})
"""Where time (anchored to the store's) and chance (the bits of an id) enter; everybody else is handed them."""


def check(module: Module, pure_folders: tuple[str, ...]) -> Iterator[Finding]:
    """Uses of a clock or of chance in a file below one of `pure_folders` (`src/clarion/delivery/`, …)."""
    if not module.path.startswith(pure_folders) or module.path in SOURCES:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            name = dotted_name(node, module)
            if name in CLOCKS:
                yield Finding(module.path, node.lineno, "pure-core", f"{name}: take the time as an argument")
            elif name in DICE:
                yield Finding(
                    module.path, node.lineno, "pure-core", f"{name}: take the chance as an argument"
                )
