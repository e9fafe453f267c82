"""Who is held out: users on whom a feature does not use what was learned of them, so that what it brings is known.

A held-out user is a stranger to the feature: her hour, or her channel, is the one of the population (in her own local
time, and with the channel that she named as hers). So what is measured against her is what knowing people brings, not
what a sensible default brings.

Sticky: whether somebody is held out follows from the tenant, the feature and her number. A larger share holds out the
same users and more.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

import numpy as np

from clarion.kernel.dice import fractions
from clarion.kernel.local_time import IntArray
from clarion.tenancy.model import MlSettings

FEATURES: Final = ("send_time", "channel")
"""What is learned of users; a mask has a bit of each, in this order. Append only: masks are stored."""

SEND_TIME, CHANNEL = 1, 2

EVERY_FEATURE: Final = SEND_TIME | CHANNEL

NO_MODEL: Final = 1 << 30
"""Beside the features in a mask of what is hidden: not even the tenant's population was learned. Never stored."""


def held_out(tenant_id: bytes, user_ids: IntArray, settings: MlSettings) -> IntArray:
    """By user of the tenant, the mask of the features from which she is held out; in the shape of `user_ids`."""
    numbers = user_ids.astype(np.uint64)
    shares = (settings.holdout.send_time, settings.holdout.channel)
    masks = np.zeros(user_ids.shape, np.int64)
    for place, (feature, share) in enumerate(zip(FEATURES, shares, strict=True)):
        masks |= (fractions(numbers, _salt(tenant_id, feature)) < share).astype(np.int64) << place
    return masks


def switched_off(settings: MlSettings) -> int:
    """Mask of the features that the tenant does not use: everybody is a stranger to them. All off: also `NO_MODEL`."""
    on = settings.enabled
    if settings.off:
        return EVERY_FEATURE | NO_MODEL
    return SEND_TIME * (not on.send_time) | CHANNEL * (not on.channel)


def names_of_features(mask: int) -> list[str]:
    """The features of a mask, by name."""
    return [name for place, name in enumerate(FEATURES) if mask >> place & 1]


@lru_cache(maxsize=1024)
def _salt(tenant_id: bytes, feature: str) -> int:
    return int.from_bytes(blake2b(tenant_id, digest_size=8, person=feature.encode()).digest())
