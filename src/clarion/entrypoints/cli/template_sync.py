"""`clarion template push|pull|diff`: a folder of templates and the tenant's, brought together through the API."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from clarion.entrypoints.cli.client import ApiClient, ApiRefusal, path_of
from clarion.entrypoints.cli.template_files import Files, says_the_same, write_partial, write_template
from clarion.entrypoints.cli.template_folder import Folder, check_folder, in_order, read_folder
from clarion.entrypoints.cli.template_tree import PARTIALS, TEMPLATES, place_of, write_files
from clarion.kernel.errors import Invalid
from clarion.templates import PartialContent, PartialVersion, TemplateContent

_NONE: Final[Files] = {}


class Report(msgspec.Struct, frozen=True):
    """What was done, or would be, a line each; and what could not be, by file and line. `changes` counts the former.

    `findings`: what the linter says of what was saved.
    """

    lines: list[str]
    problems: list[str]
    findings: list[str] = []
    changes: int = 0


class Listed(msgspec.Struct, frozen=True):
    """A template as the API lists it: its latest version, and the live one (None: none)."""

    name: str
    version: int
    live: int | None

    @property
    def is_draft(self) -> bool:
        """Whether the latest version is not what is sent."""
        return self.version != self.live


class TemplateSync:
    """A folder on one side, an account on the other."""

    def __init__(self, api: ApiClient, root: Path) -> None:
        self._api = api
        self._root = root

    def push(self, how: Literal["live", "draft"]) -> Report:
        """Save what the folder has. Nothing is saved before all of it was read and checked here.

        What is saved already makes no version, so that a second push does nothing, and says so. What only the API can
        refuse (an unknown category, a template that prints too much) stops no other. Raises Invalid, with a line a
        problem, for a folder that has any; ApiRefusal.
        """
        folder = read_folder(self._root)
        check_folder(folder, self._partials_besides(folder))
        report = Report([], [], [])
        moved = [name for name in in_order(folder.partials) if self._push_partial(name, folder, report)]
        changes = len(moved)
        before = self._templates()
        for name in folder.templates:
            changes += self._push_template(name, how, folder, before.get(name), report)
        for name in moved:
            for other in self._left_behind(name, folder):
                report.lines.append(
                    f"{place_of(TEMPLATES, other)}: is not in the folder, and keeps `{name}` as it was"
                )
        return msgspec.structs.replace(report, changes=changes)

    def pull(self) -> Report:
        """Write what the account has into the folder: the latest version of each template, drafts too.

        Files that say the same keep their bytes. What is only in the folder stays.
        """
        lines: list[str] = []
        changes = 0
        remote = dict(self._remote_files())
        for place, files in remote.items():
            changed = write_files(self._root / place, files)
            changes += bool(changed)
            lines.append(f"{place}: {', '.join(changed) if changed else 'unchanged'}")
        folder = read_folder(self._root)
        lines.extend(f"{place}: is only here" for place in folder.tree.places() if place not in remote)
        return Report(lines, [], changes=changes)

    def diff(self) -> Report:
        """What a push would change, as unified diffs from the account's files to the folder's."""
        folder = read_folder(self._root)
        check_folder(folder, self._partials_besides(folder))
        wanted = {place_of(TEMPLATES, name): write_template(said) for name, said in folder.templates.items()}
        wanted |= {place_of(PARTIALS, name): write_partial(said) for name, said in folder.partials.items()}
        there = dict(self._remote_files())
        lines: list[str] = []
        changes = 0
        for place in sorted(wanted.keys() | there.keys()):
            if place not in wanted:
                lines.append(f"{place}: is not in the folder; pull writes it")
                continue
            said = _compare(place, there.get(place), wanted[place])
            changes += bool(said)
            lines.extend(said)
        drafts = [t for t in self._templates().values() if t.is_draft and t.name in folder.templates]
        for template in drafts:
            live = f"version {template.live} is live" if template.live else "none is live"
            lines.append(
                f"{place_of(TEMPLATES, template.name)}: version {template.version} is a draft; {live}"
            )
        return Report(lines, [], changes=changes + len(drafts))

    def _push_partial(self, name: str, folder: Folder, report: Report) -> bool:
        place = place_of(PARTIALS, name)
        # Templates are saved next, with the new partial; one that is made anew in between could fit neither.
        path = f"{path_of('partials', name)}?templates=keep"
        answer = self._save(place, path, folder.partials[name], folder, report)
        if answer is None:
            return False
        report.lines.append(
            f"{place}: {'saved as' if answer['new'] else 'unchanged,'} version {answer['version']}"
        )
        return bool(answer["new"])

    def _push_template(
        self, name: str, how: str, folder: Folder, before: Listed | None, report: Report
    ) -> bool:
        place = place_of(TEMPLATES, name)
        path = f"{path_of('templates', name)}?as={how}"
        answer = self._save(place, path, folder.templates[name], folder, report)
        if answer is None:
            return False
        version, live = answer["version"], answer["live"]
        was_live = None if before is None else before.live
        changed = bool(answer["new"]) or live != was_live
        state = "live" if live == version else f"a draft; version {live} is live" if live else "a draft"
        what = "saved as" if answer["new"] else "already there," if changed else "unchanged,"
        report.lines.append(f"{place}: {what} version {version}, {state}")
        if answer["new"]:
            report.findings.extend(_told(place, finding, folder) for finding in answer["findings"])
        return changed

    def _save(
        self, place: str, path: str, said: msgspec.Struct, folder: Folder, report: Report
    ) -> dict[str, Any] | None:
        """The API's answer; None where it refuses, and `report` says why."""
        try:
            return self._api.call("PUT", path, said)
        except ApiRefusal as refused:
            if not refused.places:
                raise
            report.problems.extend(folder.blame_path(place, *where) for where in refused.places)
            return None

    def _left_behind(self, partial: str, folder: Folder) -> Iterator[str]:
        """The templates that are live with a partial, and that a push of this folder does not make anew."""
        for name in self._api.call("GET", path_of("partials", partial))["used_by"]:
            if name not in folder.templates:
                yield name

    def _templates(self) -> dict[str, Listed]:
        listed = msgspec.convert(self._api.call("GET", "/api/v1/templates")["templates"], list[Listed])
        return {template.name: template for template in listed}

    def _partial_names(self) -> list[str]:
        return [partial["name"] for partial in self._api.call("GET", "/api/v1/partials")["partials"]]

    def _partial(self, name: str) -> PartialContent:
        shown = self._api.call("GET", path_of("partials", name))
        return msgspec.convert(_fields(shown, PartialContent), PartialContent)

    def _partials_besides(self, folder: Folder) -> dict[str, PartialVersion]:
        names = [name for name in self._partial_names() if name not in folder.partials]
        return {name: PartialVersion(name, 0, self._partial(name)) for name in names}

    def _remote_files(self) -> Iterator[tuple[str, Files]]:
        for name in self._partial_names():
            yield place_of(PARTIALS, name), write_partial(self._partial(name))
        for name in self._templates():
            shown = self._api.call("GET", path_of("templates", name))
            content = msgspec.convert(_fields(shown, TemplateContent), TemplateContent)
            yield place_of(TEMPLATES, name), write_template(content)


def _told(place: str, finding: Mapping[str, Any], folder: Folder) -> str:
    """What the linter says, by file and line."""
    path, partial = finding["path"], finding["partial"]
    line = f"line {finding['line']}: " if finding["line"] and not partial else ""
    where = folder.blame_path(place, path, f"{line}{finding['detail']}; {finding['remedy']}")
    inside = f" (line {finding['line']} of partial `{partial}`)" if partial else ""
    return f"{finding['severity']}: {where}{inside}"


def _fields(shown: Mapping[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Of what the API shows, what is content."""
    return {name: shown[name] for name in kind.__struct_fields__ if name in shown}


def _compare(place: str, there: Files | None, wanted: Files) -> list[str]:
    lines: list[str] = []
    old = there if there is not None else _NONE
    for name in sorted(old.keys() | wanted.keys()):
        before, after = old.get(name), wanted.get(name)
        if before is not None and after is not None and says_the_same(name, before, after):
            continue
        lines.extend(
            difflib.unified_diff(
                _lines(before),
                _lines(after),
                "/dev/null" if before is None else f"account/{place}/{name}",
                "/dev/null" if after is None else f"folder/{place}/{name}",
                lineterm="",
            )
        )
    return lines


def _lines(raw: bytes | None) -> list[str]:
    """Lines for people: what differs in their ends only, shows."""
    if not raw:
        return []
    text = raw.decode().replace("\r\n", "␍\n")
    lines = text.removesuffix("\n").split("\n")
    return lines if text.endswith("\n") else [*lines[:-1], lines[-1] + "  (no newline at the end)"]


def run_sync(api: ApiClient, root: Path, word: Literal["push", "draft", "pull", "diff"]) -> Report:
    """Do what the command says. Raises Invalid, ApiRefusal."""
    sync = TemplateSync(api, root)
    try:
        match word:
            case "push":
                return sync.push("live")
            case "draft":
                return sync.push("draft")
            case "pull":
                return sync.pull()
            case "diff":
                return sync.diff()
    except OSError as error:
        raise Invalid(f"{error.filename}: {error.strerror}") from error
