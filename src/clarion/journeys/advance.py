"""The engine: `(runs, what reached them, now) -> new states and what to do`. Pure; see `model` for its words."""

from __future__ import annotations

from collections.abc import Sequence

from clarion.journeys.model import Moved, Turn


def advance(turns: Sequence[Turn], now_ms: int) -> list[Moved]:
    """Take each run as far as it goes now; a `Moved` per turn, in order. Same arguments, same answer.

    A run stops where an effect is asked for (its answer comes as `Done`), where it has to wait, or at its end.
    Raises nothing: what goes wrong in a run is in its state.
    """
    return [_take(turn, now_ms) for turn in turns]


def _take(turn: Turn, now_ms: int) -> Moved:
    del now_ms
    return Moved(turn.instance, changed=False)
