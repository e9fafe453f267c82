"""Whether a definition is small and plain enough to be read at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from clarion.journeys.findings import show
from clarion.journeys.graph import MAX_STEPS
from clarion.kernel.errors import Invalid
from clarion.kernel.text import check_storable

MAX_DEPTH: Final = 100
"""Of the JSON. Steps within steps may be 20 levels deep (`places.MAX_LEVELS`), at four levels of JSON each."""

MAX_VALUES: Final = 50_000
"""Values of the JSON: a definition of a thousand steps has some ten thousand."""

STEP_LISTS: Final = ("steps", "nodes", "flow")


class OutOfBoundsError(ValueError):
    """A definition is too large or no JSON; its text says what to do."""


def check_bounds(raw: object) -> None:
    """Walk over a definition without recursion, up to the first bound. Raises OutOfBoundsError."""
    waiting: list[tuple[object, int]] = [(raw, 0)]
    seen = steps = 0
    while waiting:
        value, depth = waiting.pop()
        seen += 1
        if depth > MAX_DEPTH or seen > MAX_VALUES:
            what = "deep" if depth > MAX_DEPTH else "large"
            raise OutOfBoundsError(
                f"this definition is too {what} to be read: split it into several journeys"
            )
        if isinstance(value, dict):
            members = cast("Mapping[Any, Any]", value)
            steps += _count_steps(members)
            waiting.extend((member, depth + 1) for member in members.values())
        elif isinstance(value, list):
            waiting.extend((member, depth + 1) for member in cast("list[Any]", value))
        else:
            _check_scalar(value)
        if steps > MAX_STEPS:
            raise OutOfBoundsError(
                f"a journey has {MAX_STEPS} steps at most, and this has more: split it into several"
            )


def _count_steps(members: Mapping[Any, Any]) -> int:
    for name in members:
        if not isinstance(name, str):
            # YAML reads `on`, `yes` and numbers as what they look like.
            raise OutOfBoundsError(
                f"the name {show(name)} of a field is no text: put it between quotation marks"
            )
        _check_scalar(name)
    listed = (members.get(name) for name in STEP_LISTS)
    return sum(len(cast("list[Any]", one)) for one in listed if isinstance(one, list))


def _check_scalar(value: object) -> None:
    if not isinstance(value, str | int | float | bool | None):
        raise OutOfBoundsError(
            "it holds a value that JSON does not have, such as a date: put it between quotation marks"
        )
    try:
        check_storable(value, "")
    except Invalid as error:
        raise OutOfBoundsError(f"a value of it {error.detail}") from None
