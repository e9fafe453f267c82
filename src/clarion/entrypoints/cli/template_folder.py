"""What a folder of templates says, checked as far as that goes without saving it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from clarion.entrypoints.cli.template_files import Files, read_partial, read_template
from clarion.entrypoints.cli.template_tree import PARTIALS, TEMPLATES, Tree, locate, place_of, read_tree
from clarion.kernel.errors import Invalid
from clarion.templates import (
    PartialContent,
    Partials,
    PartialVersion,
    TemplateContent,
    check_partial,
    check_template,
    needed_by_partial,
)

T = TypeVar("T")


class Folder(msgspec.Struct, frozen=True):
    """A folder's files, and what they say."""

    tree: Tree
    templates: dict[str, TemplateContent]
    partials: dict[str, PartialContent]

    def blame(self, place: str, error: Invalid) -> str:
        """What is wrong with a template or partial, by file and line. `place`: its folder."""
        return self.blame_path(place, error.path, error.detail)

    def blame_path(self, place: str, path: str, detail: str) -> str:
        """As `blame`, of the path in the body that the API took."""
        return locate(place, self.tree.files_of(place), path, detail)


def read_folder(root: Path) -> Folder:
    """All that a folder says. Raises Invalid with a line a problem: file, line, and what is wrong."""
    tree = read_tree(root)
    problems: list[str] = []
    templates = _read_all(TEMPLATES, tree.templates, read_template, problems)
    partials = _read_all(PARTIALS, tree.partials, read_partial, problems)
    if problems:
        raise _refuse(problems)
    return Folder(tree, templates, partials)


def _read_all(
    kind: str,
    found: Mapping[str, Files],
    read: Callable[[Mapping[str, bytes], str], T],
    problems: list[str],
) -> dict[str, T]:
    said: dict[str, T] = {}
    for name, files in found.items():
        try:
            said[name] = read(files, place_of(kind, name))
        except Invalid as error:
            problems.append(error.detail)
    return said


def check_folder(folder: Folder, elsewhere: Partials) -> None:
    """Pass over a folder that can be saved, as far as can be told here. `elsewhere`: partials that it does not hold.

    Raises Invalid with a line a problem.
    """
    problems = list(_problems(folder, elsewhere))
    if problems:
        raise _refuse(problems)


def _refuse(problems: list[str]) -> Invalid:
    count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    return Invalid("\n".join([f"the folder has {count}; nothing was saved", *problems]))


def _problems(folder: Folder, elsewhere: Partials) -> Iterator[str]:
    known = {
        **elsewhere,
        **{name: PartialVersion(name, 0, said) for name, said in folder.partials.items()},
    }
    for name, partial in folder.partials.items():
        try:
            check_partial(name, partial, known)
        except Invalid as error:
            yield folder.blame(place_of(PARTIALS, name), error)
    for name, content in folder.templates.items():
        try:
            check_template(content, known)
        except Invalid as error:
            yield folder.blame(place_of(TEMPLATES, name), error)


def in_order(partials: Mapping[str, PartialContent]) -> list[str]:
    """The names of partials, each after those that it takes. Trusts that none takes itself: see `check_folder`."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        if name in ordered or name not in partials:
            return
        for inner in sorted(needed_by_partial(partials[name], {})):
            add(inner)
        ordered[name] = None

    for name in partials:
        add(name)
    return list(ordered)
