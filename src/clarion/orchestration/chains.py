"""Channel fallback chains: when a notification goes on to its next channel, and when it does not. Pure.

    push ──▶ after 300 s, unless delivered ──▶ sms ──▶ after 3600 s, unless engaged ──▶ email

The time of a step counts from when the message went out on the channels before, or was to go out; where it failed on
all of them, the step is taken at once. Every step is a decision of its own: consent, quiet hours and caps are asked
again, and what they take from a step they do not take from the one behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from clarion.contracts.commands import FallbackStep

ChainState: TypeAlias = Literal["waiting", "succeeded", "exhausted", "expired", "cancelled"]

NEVER_THERE: Final = frozenset({"failed", "expired", "blocked", "cancelled"})
"""How a delivery ends that reached nobody. What became of an `unknown` one a receipt may still tell."""

_PLANNED: Final = frozenset({"deferred", "scheduled", "ml_scheduled"})

_REACHED: Final[dict[str, frozenset[str]]] = {
    "sent": frozenset({"sent", "delivered", "engaged"}),
    "delivered": frozenset({"delivered", "engaged"}),
    "engaged": frozenset({"engaged"}),
}


class Leg(msgspec.Struct, frozen=True):
    """One delivery of a notification, as chains look at it. Times are UTC ms of the store's clock, 0: none.

    `send_ms`: when it was to go out, by its decision; `due_ms`: when it is due now, while it is open. `is_dropped`: the
    chain itself cancelled it, when it went on.
    """

    delivery_id: bytes
    channel: str
    status: str
    send_ms: int
    due_ms: int = 0
    sent_ms: int = 0
    is_dropped: bool = False

    @property
    def begins_ms(self) -> int:
        """When it went out, or was to. Retries do not move it."""
        planned = self.due_ms if self.status in _PLANNED else 0
        return self.sent_ms or planned or self.send_ms


class Over(msgspec.Struct, frozen=True):
    """No further channel."""

    state: ChainState


class Look(msgspec.Struct, frozen=True):
    """Nothing to do before `due_ms`."""

    due_ms: int


class Take(msgspec.Struct, frozen=True):
    """Go on to the channel of step number `step`."""

    step: int


Verdict: TypeAlias = Over | Look | Take


def judge(
    steps: Sequence[FallbackStep], step: int, legs: Sequence[Leg], expires_ms: int, now_ms: int
) -> Verdict:
    """What is to be done about a chain whose next step is `step`, at `now_ms`. `expires_ms` 0: never.

    A step to a channel that has a delivery already is passed over. What its tenant cancelled goes on to nothing.
    """
    if any(leg.status == "cancelled" and not leg.is_dropped for leg in legs):
        return Over("cancelled")
    taken = {leg.channel for leg in legs}
    ahead = next((i for i in range(step, len(steps)) if steps[i].channel not in taken), None)
    if ahead is None:
        return Over("exhausted")
    wanted = steps[ahead]
    if any(leg.status in _REACHED[wanted.unless] for leg in legs):
        return Over("succeeded")
    if expires_ms and now_ms >= expires_ms:
        return Over("expired")
    hopes = [leg.begins_ms for leg in legs if leg.status not in NEVER_THERE]
    due_ms = max(hopes) + wanted.after_s * 1000 if hopes else 0
    if due_ms > now_ms:
        return Look(min(due_ms, expires_ms) if expires_ms else due_ms)
    return Take(ahead)


def first_look(steps: Sequence[FallbackStep], send_ms: Sequence[int], created_ms: int) -> int:
    """When to look at a new chain: `send_ms` has the planned times of its deliveries, none where all is blocked."""
    return max(send_ms) + steps[0].after_s * 1000 if send_ms else created_ms
