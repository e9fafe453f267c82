"""What a printed value goes through: counted, cleaned, and refused where a message must not show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clarion.templates.errors import Unrenderable

BUDGET: Final = 1024 * 1024
"""Characters that one part may print and its filters may make. More than a part may hold, since a text that is kept
with `{% set %}` and then printed counts twice."""

CONTAINER_PRINTED: Final = "a list or map cannot be printed; loop over it, or use `join` or `tojson`"


class Meter:
    """The budget of the rendering that is going on. `one_line`: values with a line break are refused."""

    __slots__ = ("left", "one_line")

    def __init__(self) -> None:
        self.left = 0
        self.one_line = False

    def start(self, *, one_line: bool) -> None:
        """Begin a part with the full budget."""
        self.left = BUDGET
        self.one_line = one_line

    def charge(self, characters: int) -> None:
        """Count characters. Raises Unrenderable when the budget is used up."""
        self.left -= characters
        if self.left < 0:
            detail = f"it prints or puts together more than {BUDGET} characters"
            raise Unrenderable("too_long", detail)


def make_finalizer(meter: Meter) -> Callable[[object], object]:
    """What the engine calls with each value it is about to print.

    Refuses null, lists and maps (Python's notation for them has no place in a message), and line breaks where there
    must be none. Escaping comes after it.
    """

    def finalize(value: object) -> object:
        if isinstance(value, str):
            meter.charge(len(value))
            if meter.one_line and "\n" in value:
                raise Unrenderable("line_break", "a variable in the subject holds a line break")
        elif value is None:
            raise Unrenderable("null", "a null cannot be printed; use `default(…)` or an `if`")
        elif not isinstance(value, int | float):
            raise Unrenderable("operation", CONTAINER_PRINTED)
        return NotImplemented

    return finalize
