"""The channels, in the one order that every array, mask and bit uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

Channel: TypeAlias = Literal["email", "push", "sms"]

CHANNELS: Final[tuple[Channel, ...]] = ("email", "push", "sms")
"""Index in this tuple = bit in every channel mask = column of every channel axis. Append only."""

CHANNEL_INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(CHANNELS)}
NO_CHANNEL: Final = "none"
"""The `channel` of the one row that a request without any candidate channel leaves."""


def mask_of(channels: Sequence[str]) -> int:
    """Bit mask of channel names; unknown names raise KeyError (names are checked at the edge)."""
    mask = 0
    for name in channels:
        mask |= 1 << CHANNEL_INDEX[name]
    return mask


def names_of(mask: int) -> list[str]:
    """Channel names of a bit mask, in canonical order."""
    return [name for i, name in enumerate(CHANNELS) if mask >> i & 1]
