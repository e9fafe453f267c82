"""The page on security names tests: each is there, and no row is without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
ROWS: Final = re.findall(r"^\| (\d+) \|(.*)\|$", (ROOT / "docs/security.md").read_text("utf-8"), re.MULTILINE)
RISKS: Final = 32


def test_every_risk_has_its_row_and_every_row_its_test():
    assert [int(number) for number, _ in ROWS] == list(range(1, RISKS + 1))
    assert [number for number, text in ROWS if "`tests/" not in text] == []


def test_every_test_that_is_named_is_there():
    missing: list[str] = []
    for path, _, name in re.findall(r"`(tests/[\w/]+\.py)(::(\w+))?`", " ".join(text for _, text in ROWS)):
        file = ROOT / path
        if not file.exists() or (name and f"def {name}(" not in file.read_text("utf-8")):
            missing.append(f"{path}::{name}")
    assert missing == []
