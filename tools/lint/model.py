"""What a rule reads and what it finds."""

from __future__ import annotations

import ast
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Finding:
    """One breach of one rule.

    `path` is relative to the repository, with `/`; `name` is the dotted name inside the file ("" for the file as a
    whole); `value` is what was measured by rules that measure, else 0.
    """

    path: str
    line: int
    rule: str
    message: str
    name: str = ""
    value: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message} [{self.rule}]"


@dataclass(frozen=True)
class TextFile:
    """A file of the repository as text. `path` is relative to the repository, with `/`."""

    path: str
    text: str


@dataclass(frozen=True)
class Module:
    """A parsed Python file. `imported` maps each name that an import binds to the dotted name it stands for."""

    file: TextFile
    tree: ast.Module
    imported: dict[str, str]

    @property
    def path(self) -> str:
        """Path of the file, relative to the repository."""
        return self.file.path


def parse(file: TextFile) -> Module:
    """Parse a Python file. Raises SyntaxError."""
    tree = ast.parse(file.text, filename=file.path)
    return Module(file, tree, _imported_names(tree))


def dotted_name(node: ast.expr, module: Module) -> str:
    """The full name that an expression such as `dt.now` stands for (`datetime.datetime.now`); "" if it is no name.

    Follows imports and their aliases, not assignments.
    """
    match node:
        case ast.Name(id=name):
            return module.imported.get(name, name)
        case ast.Attribute(value=owner, attr=attribute):
            prefix = dotted_name(owner, module)
            return f"{prefix}.{attribute}" if prefix else ""
        case _:
            return ""


def _imported_names(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names
