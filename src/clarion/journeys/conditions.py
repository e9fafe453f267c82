"""Conditions of journeys: CEL over what is known of a run, where a name that is not set is no error.

    user.plan == "pro"       engagement_score > 0.7     !completed_onboarding
    steps.welcome.engaged    events.purchase.count > 2

A bare name is looked for in the context, the user's profile and the features, in this order. Where it is in none, `!x`
holds and every comparison with it fails, and the timeline says so. What cannot be evaluated (a division by zero, a
text compared with a number) is an error, and the step's `on_error` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from clarion.audience.cel import Node, Program, parse

Scope: TypeAlias = Mapping[str, Any]
"""The roots of names: `user`, `context`, `features`, `events`, `steps`, `event` (only in a match), `journey`."""


class Verdict(msgspec.Struct, frozen=True):
    """`unset`: names that were asked for and not there. `error` "": it could be evaluated."""

    holds: bool
    unset: tuple[str, ...] = ()
    error: str = ""


class Condition(msgspec.Struct, frozen=True):
    """A condition, ready to be judged. `roots`: those of its names (a bare name counts for all three)."""

    text: str
    path: str
    tree: Node
    roots: frozenset[str]
    names: tuple[str, ...]
    program: Any

    def judge(self, scope: Scope) -> Verdict:
        """Whether it holds. Raises nothing."""
        holds = isinstance(self.program, Program) and self.program.holds(scope)
        return Verdict(holds)


def compile_condition(text: str, path: str) -> Condition:
    """A condition from its text. Raises Invalid with `path` where it is not understood."""
    tree = parse(text)
    return Condition(text, path, tree, frozenset(), (), Program(tree))
