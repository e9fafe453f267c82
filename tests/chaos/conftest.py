"""A measure of each fault, printed as a table at the end of the run (`tests/live/fixtures.py`)."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest

from tests.chaos.support import Measure, Measuring


@pytest.fixture
def measure(record_property: Callable[[str, object], None]) -> Generator[Measuring]:
    """Makes the measure of this test's fault."""
    made: list[Measure] = []

    def make(fault: str, n: int, bound: int = 0) -> Measure:
        made.append(Measure(fault, n, bound=bound))
        return made[-1]

    yield make
    for one in made:
        record_property("fault", one.row())
