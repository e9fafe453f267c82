"""Suppressions: channels that must stay silent whatever the tenant wishes, until the user herself asks again."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from clarion.contracts.channels import Channel

SuppressionReason: TypeAlias = Literal["hard_bounce", "complaint", "stop", "dead_token", "manual"]

LIFTED_BY_OPT_IN: Final[tuple[SuppressionReason, ...]] = ("complaint", "stop", "manual")
"""Reasons that were the user's will, which she may change by an express opt-in on that very channel."""

ENDED_BY_NEW_ADDRESS: Final[tuple[SuppressionReason, ...]] = ("hard_bounce", "dead_token")
"""Reasons that are facts about an address, and end with it."""


class Suppression(msgspec.Struct, frozen=True):
    """Silence one channel of one user."""

    user_id: int
    channel: Channel
    reason: SuppressionReason
