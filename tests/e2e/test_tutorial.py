"""The tutorials, run as they are written: each `sh` block in its order, in one shell, beside a fresh `clarion up`."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path
from typing import IO, Final, cast

import pytest

from clarion.testing.instance import clarion_up

ROOT: Final = Path(__file__).parents[2]
TUTORIALS: Final = sorted((ROOT / "docs/tutorial").glob("*.md"))
BLOCK: Final = re.compile(r"(?:<!-- goes on running(?:, and prints (.*?))? -->\n)?```sh\n(.*?)```", re.DOTALL)
START: Final = "make up"
"""The one block that is not run: the environment that it makes is the one that the test runs in."""

STAYS: Final = "<!-- goes on running"
PROBLEM: Final = re.compile(r'"title":"[^"]*","status":[45]\d\d')
DONE: Final = "— done —"

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


class Block:
    """A block of a page: its commands, and what it prints at last, if it is one that goes on running."""

    def __init__(self, found: re.Match[str]) -> None:
        self.stays = found[0].startswith(STAYS)
        self.prints = found[1] or ""
        self.text = found[2].strip()


class Shell:
    """A bash that is told one block after the other. It ends at the first command that fails."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._said = cast("IO[str]", process.stdout)
        self._told = cast("IO[str]", process.stdin)

    def run(self, block: str) -> str:
        """What the block prints. Fails the test where a command of it fails, or is answered with a problem."""
        self._told.write(f"{block}\necho '{DONE}'\n")
        self._told.flush()
        said = ""
        while DONE not in said:
            line = self._said.readline()
            assert line, f"failed:\n{block}\n{said}"
            said += line
        assert not PROBLEM.search(said), f"{block}\n{said}"
        return said


@contextlib.contextmanager
def bash(folder: Path) -> Generator[Shell]:
    with subprocess.Popen(
        ["/bin/bash", "-eo", "pipefail"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Shell(process)
        finally:
            process.kill()


@contextlib.contextmanager
def left_running(command: str, folder: Path) -> Generator[IO[str]]:
    """A command in a terminal of its own, and what it prints."""
    with subprocess.Popen(
        ["/bin/bash", "-c", f"exec {command}"],
        cwd=folder,
        env={"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield cast("IO[str]", process.stdout)
        finally:
            process.kill()


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page: Path, tmp_path: Path):
    blocks = [Block(found) for found in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    assert len(blocks) > 3
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    with clarion_up(tmp_path / ".clarion"), contextlib.ExitStack() as stack:
        terminal = stack.enter_context(bash(tmp_path))
        waiting: list[tuple[IO[str], str]] = []
        for block in blocks:
            if block.stays:
                waiting.append((stack.enter_context(left_running(block.text, tmp_path)), block.prints))
            elif block.text != START:
                terminal.run(block.text)
        for output, awaited in waiting:
            assert any(awaited in line for line in output), f"it never printed {awaited}"
