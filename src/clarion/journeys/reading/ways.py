"""Where steps lead: names of steps, words for the next one and for the end, and steps written in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

from clarion.contracts.commands import Optimization
from clarion.journeys.graph import OnError
from clarion.journeys.reading.fields import Fields, Found

GOTO: Final = (
    "goto",
    "next",
    "then",
    "step",
    "to",
    "target",
    "next_step",
    "goto_step",
    "steps",
    "go_to",
    "path",
)


class Places(Protocol):
    """The steps of a definition while it is read."""

    def lead(self, found: Found, fields: Fields) -> str | None:
        """Where a field leads: a step's id, END, or None for the next step. Steps written in place are taken in."""
        ...


@dataclass(frozen=True)
class Setting:
    """What steps take from the definition around them. `zone` "": the user's own."""

    places: Places
    zone: str = ""
    category: str = ""
    optimization: Optimization = field(default_factory=Optimization)
    on_error: OnError = "skip"
    channels: tuple[str, ...] = ()
