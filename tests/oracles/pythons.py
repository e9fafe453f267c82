"""Software from PyPI in environments of its own, as `tools.oracles` installed it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.oracles.npm import FOLDER
from tools.oracles import MISSING, python_of


def require_python(name: str) -> Path:
    """The interpreter of an environment. Skips the test where it is not installed, with the reason."""
    if FOLDER is None:
        pytest.skip("run by `make test-contract`")
    python = python_of(FOLDER, name)
    if python is None:
        missing: dict[str, str] = json.loads((FOLDER / MISSING).read_text(encoding="utf-8"))
        pytest.skip(f"{name} is not installed: {missing.get(name, 'nobody tried')}")
    return python
