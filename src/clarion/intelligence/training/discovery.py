"""Which features tell something: by what is lost when one is shuffled, confirmed by leaving it out.

Shuffling a column (permutation importance, Breiman 2001) is cheap and says too little of columns that say the same as
others; so what it finds is confirmed by growing anew without the column. Both losses are in the mean log score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from clarion.intelligence.training.challenger import INPUTS, BoolArray, DoubleArray, FloatArray, Grower, Trees

SHUFFLES: Final = 3
CONFIRMED: Final = 8
"""The most important columns that are confirmed by leaving each out: each costs a growing."""

SEED: Final = 2026
_LEAST: Final = 1e-4


class Importance(msgspec.Struct, frozen=True):
    """What a column is worth. `dropped`: the loss without it, None where that was not tried."""

    name: str
    shuffled: float
    dropped: float | None = None


def discover(
    grower: Grower,
    seen: tuple[FloatArray, BoolArray],
    later: tuple[FloatArray, BoolArray],
    most: int = CONFIRMED,
) -> list[Importance]:
    """Every column by its importance on `later` rows, of trees grown on `seen` ones; the greatest first."""
    trees = grower.open(grower.grow(*seen))
    base = _score(trees, *later)
    chance = np.random.default_rng(SEED)
    losses = [base - _shuffled(trees, later, column, chance) for column in range(len(INPUTS))]
    order = sorted(range(len(INPUTS)), key=lambda column: -losses[column])
    found: list[Importance] = []
    for place, column in enumerate(order):
        dropped = None
        if place < most:
            without = grower.open(grower.grow(_blank(seen[0], column), seen[1]))
            dropped = base - _score(without, _blank(later[0], column), later[1])
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


def _score(trees: Trees, inputs: FloatArray, answered: BoolArray) -> float:
    chance: DoubleArray = np.clip(trees.expect(inputs), _LEAST, 1 - _LEAST)
    return float(np.log(np.where(answered, chance, 1 - chance)).mean())


def _shuffled(
    trees: Trees, later: tuple[FloatArray, BoolArray], column: int, chance: np.random.Generator
) -> float:
    inputs, answered = later
    scores: list[float] = []
    for _ in range(SHUFFLES):
        mixed = inputs.copy()
        mixed[:, column] = chance.permutation(mixed[:, column])
        scores.append(_score(trees, mixed, answered))
    return float(np.mean(scores))


def _blank(inputs: FloatArray, column: int) -> FloatArray:
    """The inputs with a column that says nothing."""
    blank = inputs.copy()
    blank[:, column] = 0
    return blank
