"""Which features tell something: by what is lost when one is shuffled, confirmed by leaving it out.

Shuffling a column (permutation importance, Breiman 2001) is cheap and says too little of columns that say the same as
others; so what it finds is confirmed by growing anew without the column. Both losses are in the mean log score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from clarion.intelligence.models.trees import INPUTS, Trees
from clarion.intelligence.training.challenger import FloatArray, Grower, Table, with_trees

SHUFFLES: Final = 3
CONFIRMED: Final = 8
"""The most important columns that are confirmed by leaving each out: each costs a growing."""

SEED: Final = 2026


class Importance(msgspec.Struct, frozen=True):
    """What a column is worth. `dropped`: the loss without it, None where that was not tried."""

    name: str
    shuffled: float
    dropped: float | None = None


def discover(grower: Grower, seen: Table, later: Table, most: int = CONFIRMED) -> list[Importance]:
    """Every column by its importance on `later` sends, of trees grown on `seen` ones; the greatest first."""
    trees = _grown(grower, seen)
    base = _score(trees, later)
    chance = np.random.default_rng(SEED)
    losses = [base - _shuffled(trees, later, column, chance) for column in range(len(INPUTS))]
    order = sorted(range(len(INPUTS)), key=lambda column: -losses[column])
    found: list[Importance] = []
    for place, column in enumerate(order):
        dropped = None
        if place < most:
            without = _grown(grower, replace(seen, inputs=_blank(seen.inputs, column)))
            dropped = base - _score(without, replace(later, inputs=_blank(later.inputs, column)))
        found.append(Importance(INPUTS[column], losses[column], dropped))
    return found


def write_report(found: Sequence[Importance]) -> str:
    """The discovery as a table in Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Sequence[Importance]) -> Iterator[str]:
    yield "| Feature | lost when shuffled | lost without it |"
    yield "|---|---|---|"
    for one in found:
        dropped = "" if one.dropped is None else f"{one.dropped:+.5f}"
        yield f"| `{one.name}` | {one.shuffled:+.5f} | {dropped} |"


def _grown(grower: Grower, seen: Table) -> Trees:
    return grower.open(grower.grow(seen.inputs, seen.answered, seen.expected))


def _score(trees: Trees, later: Table) -> float:
    chance = with_trees(later, trees)
    return float(np.log(np.where(later.answered, chance, 1 - chance)).mean())


def _shuffled(trees: Trees, later: Table, column: int, chance: np.random.Generator) -> float:
    scores: list[float] = []
    for _ in range(SHUFFLES):
        mixed = later.inputs.copy()
        mixed[:, column] = chance.permutation(mixed[:, column])
        scores.append(_score(trees, replace(later, inputs=mixed)))
    return float(np.mean(scores))


def _blank(inputs: FloatArray, column: int) -> FloatArray:
    """The inputs with a column that says nothing."""
    blank = inputs.copy()
    blank[:, column] = 0
    return blank
