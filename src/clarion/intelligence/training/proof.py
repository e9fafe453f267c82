"""Whether what is learned of users brings anything to a tenant: lift by feature, and the return to the baseline.

The log of decisions is the decisions themselves: each notification keeps its candidates, propensity, policy, model,
layout of features, and who was held out, beside what came of it. Here users of a window are compared whose attribution
windows are closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from clarion.intelligence.training.lift import LOOKED_AT, Lift, measure_lift
from clarion.kernel.local_time import DAY_MS, IntArray
from clarion.tenancy.model import FeatureSwitches, MlSettings

WINDOW_MS: Final = 28 * DAY_MS
FloatArray: TypeAlias = npt.NDArray[np.float64]

WAIT_MS: Final = 3 * DAY_MS
"""What is decided is sent within this: the hours that a decision weighs (`orchestration.horizon`)."""

LEAST_KNOWN: Final = 0.2
"""Share of the users of whom something is known from before, below which nothing is made of it."""

ATTRIBUTION_MS: Final = 3 * DAY_MS
"""An answer later than this after the sending is none, and messages younger than this are not looked at yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came of messages, by user: `sent` [N], `answered` [N] of them, and `holdout` [N], a mask of features.

    `before` [N]: share of her messages that she answered before anybody was held out; None: there is no such time.
    """

    sent: IntArray
    answered: IntArray
    holdout: IntArray
    before: FloatArray | None = None

    @property
    def rate(self) -> FloatArray:
        """Share of her messages that each user answered."""
        return self.answered / np.maximum(self.sent, 1)


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What came of messages, by user in the order of numbers: `users` [N], `sent` [N], `answered` [N] of them."""

    users: IntArray
    sent: IntArray
    answered: IntArray

    @property
    def rate(self) -> FloatArray:
        """Share of her messages that each user answered."""
        return self.answered / np.maximum(self.sent, 1)


def rates_before(users: IntArray, answers: IntArray) -> FloatArray | None:
    """Shares of messages that users (sorted) answered in a time before; of whom nothing is known, the mean of the rest.

    `answers` [M, 3]: user (sorted), sent, answered. None where fewer than `LEAST_KNOWN` of the users are among them:
    what is known of so few takes off next to no noise.
    """
    known = np.isin(users, answers[:, 0])
    if not users.size or known.mean() < LEAST_KNOWN:
        return None
    mine = answers[np.searchsorted(answers[:, 0], users[known])]
    rates = np.zeros(len(users))
    rates[known] = mine[:, 2] / np.maximum(mine[:, 1], 1)
    rates[~known] = rates[known].mean()
    return rates


class Proof(msgspec.Struct, frozen=True):
    """What was found of a feature on messages sent from `from_ms` to `to_ms` (UTC). `returned`: switched off by it."""

    feature: str
    from_ms: int
    to_ms: int
    lift: Lift
    returned: bool = False


class Proofs(Protocol):
    """Where proofs are kept, by tenant and feature, the latest of each."""

    async def outcomes(self, tenant_id: bytes, from_ms: int, to_ms: int) -> Outcomes:
        """What came of messages that were sent from one instant to another. Of each user whose holdout never changed.

        Tests do not count, nor transactional messages, nor answers later than `ATTRIBUTION_MS`. Raises Transient.
        """
        ...

    async def latest(self, tenant_id: bytes) -> list[Proof]:
        """The latest proof of each feature. Raises Transient."""
        ...

    async def since(self, tenant_id: bytes) -> int:
        """When a feature of the tenant was last returned to its baseline, or the first user was held out.

        UTC ms, the later of both; 0: neither was. Raises Transient.
        """
        ...

    async def keep(self, tenant_id: bytes, proofs: list[Proof]) -> None:
        """Keep these as the latest ones. Raises Transient."""
        ...

    async def due(self, tenant_ids: Sequence[bytes], every_ms: int) -> list[bytes]:
        """Those of these tenants that were not looked at for so long, in order. Raises Transient."""
        ...

    async def take(self, tenant_id: bytes, every_ms: int, lease_ms: int) -> bool:
        """Whether the tenant is due, and now the caller's: nobody else gets it for `lease_ms`. Raises Transient."""
        ...

    async def end(self, tenant_id: bytes) -> None:
        """It was looked at: it is due again after `every_ms`. Raises Transient."""
        ...


def window_of(now_ms: int, since_ms: int) -> tuple[int, int]:
    """From when to when (UTC ms) messages are looked at: nothing from before `since_ms` is held against it."""
    to_ms = now_ms - ATTRIBUTION_MS
    return min(max(to_ms - WINDOW_MS, since_ms), to_ms), to_ms


def prove(
    outcomes: Outcomes, features: Sequence[str], settings: MlSettings, window: tuple[int, int]
) -> list[Proof]:
    """A proof of each feature, named in the order of the bits of masks.

    One that surely harms is to be returned to the baseline, if it is switched on.
    """
    found: list[Proof] = []
    for place, feature in enumerate(features):
        treated = (outcomes.holdout >> place & 1) == 0
        lift = measure_lift(outcomes.rate, treated, outcomes.before, LOOKED_AT)
        harms = lift.verdict == "harm" and getattr(settings.enabled, feature)
        found.append(Proof(feature, *window, lift, harms))
    return found


def return_to_baseline(settings: MlSettings, proofs: list[Proof]) -> MlSettings:
    """The settings without the features whose proof says that they harm; the same ones where none does."""
    harmful = {proof.feature for proof in proofs if proof.returned}
    if not harmful:
        return settings
    enabled = FeatureSwitches(
        send_time=settings.enabled.send_time and "send_time" not in harmful,
        channel=settings.enabled.channel and "channel" not in harmful,
    )
    return msgspec.structs.replace(settings, enabled=enabled)
