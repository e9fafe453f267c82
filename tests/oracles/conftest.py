"""Tests against software that nobody here wrote.

What PyPI has runs with every `make test`. Tests marked `oracle` need more (npm packages, a browser, a mail server):
`make test-contract` installs what it can and runs them all; what is missing then is skipped, and says why.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest

from tests.oracles.npm import FOLDER


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make test-contract` runs, unless that is what runs."""
    if FOLDER is not None:
        return
    left_out = [item for item in items if item.get_closest_marker("oracle")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True, scope="module")
def left_behind() -> Generator[None]:
    """What others' clients forget to close is found here, where nobody minds, and not in the next module."""
    yield
    gc.collect()
