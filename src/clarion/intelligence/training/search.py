"""Searching a few numbers, one at a time: enough where each changes the score smoothly, and little to get wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Point = Mapping[str, float]


def climb(
    score: Callable[[Point], float],
    grids: Mapping[str, Sequence[float]],
    start: Point,
    gain: float = 1e-4,
    rounds: int = 3,
) -> tuple[dict[str, float], float]:
    """The best point found and its score, greater being better.

    Coordinates are tried in the order of `grids`, each along its grid, until a round brings less than `gain`. A score
    that is not greater by `gain` keeps what was there: noise moves nothing. `start` need not be on the grids.
    """
    best, reached = dict(start), score(start)
    for _ in range(rounds):
        before = reached
        for name, grid in grids.items():
            for value in grid:
                tried = {**best, name: value}
                found = score(tried)
                if found > reached + gain:
                    best, reached = tried, found
        if reached - before < gain:
            break
    return best, reached
