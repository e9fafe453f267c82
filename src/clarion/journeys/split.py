"""Which arm of a split a user takes: the same one whenever she comes, whoever computes it."""

from __future__ import annotations

import hashlib
from typing import Final

from clarion.journeys.graph import Arm, SplitSpec

_RANGE: Final = 1 << 64


def choose_arm(spec: SplitSpec, journey_id: bytes, user_id: int) -> Arm:
    """The arm of a user: her share of the line on which the arms lie side by side, each as long as its weight.

    By hash of (journey, salt, user): splits with different salts are independent of each other.
    """
    clear = b"%b\0%b\0%d" % (journey_id, spec.salt.encode(), user_id)
    point = int.from_bytes(hashlib.blake2b(clear, digest_size=8).digest(), "big") / _RANGE
    rest = point * sum(arm.weight for arm in spec.arms)
    for arm in spec.arms:
        rest -= arm.weight
        if rest < 0:
            return arm
    return spec.arms[-1]
