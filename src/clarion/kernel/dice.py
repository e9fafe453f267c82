"""Chance that is repeatable: numbers that are as good as drawn, of numbers that are as good as any.

What is derived from an id is the same whoever asks, and however often: a decision made again is the same decision.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

_STEP: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_UNIT: Final = 2.0**-53


def fractions(numbers: npt.NDArray[np.uint64], salt: int = 0) -> npt.NDArray[np.float64]:
    """A fraction in [0, 1) of each number, in its shape; those of another `salt` (64 bits) have nothing to do with it.

    The finaliser of SplitMix64: one changed bit changes each bit of the answer with a chance of one half.
    """
    # Arrays of unsigned numbers wrap without a word, which is what is wanted here.
    mixed = (numbers ^ np.uint64(salt)) + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * _UNIT
