"""Frequency caps: the most messages of a category that a user gets in one calendar day of her own time zone.

Each delivery counts once, whatever became of its notification's other channels. Transactional categories have no caps.
Deciding reads the counts, claiming reserves them: `allowances` names what both mean by the same words.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from clarion.contracts.channels import CHANNELS
from clarion.tenancy.model import Category

UNLIMITED: Final = 2**31 - 1
"""A limit that no count reaches; whatever a tenant sets above it is no limit either."""


class Allowance(NamedTuple):
    """Places a day: `scope` names the counter of a user and day, `limit` is how many there are, or `UNLIMITED`."""

    scope: str
    limit: int


def is_capped(category: Category) -> bool:
    """Whether any cap holds for the category's messages."""
    caps = category.caps
    return category.class_ != "transactional" and (caps.per_day is not None or bool(caps.per_channel_day))


def allowances(category: Category) -> tuple[Allowance, ...]:
    """The category's daily allowances: all channels together, then each channel in canonical order."""
    caps = category.caps if is_capped(category) else None
    total = UNLIMITED if caps is None or caps.per_day is None else caps.per_day
    per_channel = {} if caps is None else caps.per_channel_day
    return (
        Allowance(category.name, min(total, UNLIMITED)),
        *(Allowance(f"{category.name}:{c}", min(per_channel.get(c, UNLIMITED), UNLIMITED)) for c in CHANNELS),
    )


def allowances_of(category: Category, channel: str) -> list[Allowance]:
    """The limited allowances from which one delivery on `channel` takes a place each: none, one or two."""
    if not is_capped(category):
        return []
    total, *by_channel = allowances(category)
    mine = (total, by_channel[CHANNELS.index(channel)])
    return [allowance for allowance in mine if allowance.limit != UNLIMITED]
