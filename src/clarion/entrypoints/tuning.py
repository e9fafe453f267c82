"""How a long-lived process of ours runs Python."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 100_000
"""Allocations between two looks of the garbage collector. A batch of 500 makes some 20 000 objects, which counts of
references free by themselves; with the default of 700 the collector looks 30 times a batch."""

OLDER_GENERATIONS: Final = 20


def settle_memory() -> None:
    """Call once everything is loaded: what is there now stays, and is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, OLDER_GENERATIONS, OLDER_GENERATIONS)
