"""Who is in which arm of an experiment, and what that changes for her.

Sticky, as hold-outs are: it follows from the experiment and her number alone, so that nothing has to be kept. It has
nothing to do with who is held out, nor with the arms of other experiments.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec
import numpy as np

from clarion.kernel.dice import fractions
from clarion.kernel.local_time import IntArray
from clarion.tenancy.model import Arm, Experiment, FeatureSwitches, MlSettings

_PERSON: Final = b"experiment"


def shares_of(arms: Sequence[Arm]) -> list[float]:
    """The share of the users in each arm; they sum to 1."""
    total = sum(arm.share for arm in arms)
    return [arm.share / total for arm in arms]


def assign(experiment: Experiment, user_ids: IntArray) -> IntArray:
    """The index of each user's arm, in the shape of `user_ids`."""
    edges = np.cumsum(shares_of(experiment.arms))[:-1]
    return np.searchsorted(
        edges, fractions(user_ids.astype(np.uint64), _salt(experiment.experiment_id)), side="right"
    )


def settings_in(arm: Arm, settings: MlSettings) -> MlSettings:
    """How decisions learn in an arm of a tenant with these settings."""
    enabled = FeatureSwitches(
        send_time=settings.enabled.send_time and "send_time" not in arm.without,
        channel=settings.enabled.channel and "channel" not in arm.without,
    )
    exploration = settings.exploration if arm.exploration is None else arm.exploration
    return msgspec.structs.replace(settings, exploration=exploration, enabled=enabled)


@lru_cache(maxsize=1024)
def _salt(experiment_id: bytes) -> int:
    return int.from_bytes(blake2b(experiment_id, digest_size=8, person=_PERSON).digest())
