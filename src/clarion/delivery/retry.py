"""When a failed attempt is made again, and when it is given up.

Delays grow exponentially with the attempt and are drawn from the whole range below their ceiling ("full jitter"), so
that what failed together does not come back together. The provider's own word (`Outcome.retry_after_s`: `Retry-After`,
a greylisting pause, a quota window) is a floor for every kind of outcome, with the jitter on top of it.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from clarion.delivery.model import AUTH_CODE, Outcome, OutcomeKind

_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60 * _SECOND_MS
_LONGEST_FLOOR_MS: Final = 24 * 60 * _MINUTE_MS
"""No provider may park a message for longer: the longest pause that a real one asks for is a daily quota's."""


class Backoff(msgspec.Struct, frozen=True):
    """How one kind of failure is tried again: the ceiling is `base_ms · 2^(attempt - 1)`, at most `cap_ms`."""

    base_ms: int
    cap_ms: int
    max_attempts: int


BACKOFFS: Final[dict[OutcomeKind, Backoff]] = {
    # 30 attempts span about 2.5 hours: an outage of half an hour ends long before the attempts do.
    "transient": Backoff(base_ms=2 * _SECOND_MS, cap_ms=15 * _MINUTE_MS, max_attempts=30),
    # Being throttled is not the message's fault: in practice its expiry ends it, not its attempts.
    "throttled": Backoff(base_ms=1 * _SECOND_MS, cap_ms=5 * _MINUTE_MS, max_attempts=200),
    # Each of these may be a duplicate at the recipient, so few, and slower from the start.
    "ambiguous": Backoff(base_ms=10 * _SECOND_MS, cap_ms=15 * _MINUTE_MS, max_attempts=5),
}


AUTH_BACKOFF: Final = Backoff(base_ms=5 * _SECOND_MS, cap_ms=60 * _SECOND_MS, max_attempts=1 << 31)
"""Where credentials are refused a message waits for somebody to mend them, for as long as it lives."""


class Retry(msgspec.Struct, frozen=True):
    """Try again at `due_ms` (UTC milliseconds, on the clock that the caller passed in)."""

    due_ms: int


class GiveUp(msgspec.Struct, frozen=True):
    """No further attempt. `status` is the delivery's terminal status; `rule` names the reason, for the trace."""

    status: Literal["failed", "expired", "unknown"]
    rule: Literal["permanent", "max_attempts", "expiry"]


RetryDecision: TypeAlias = Retry | GiveUp


def next_attempt(
    outcome: Outcome, attempt: int, now_ms: int, expires_ms: int, random: float
) -> RetryDecision:
    """What follows the failure `outcome` of attempt number `attempt` (from 1, those excused not counted).

    `expires_ms` 0 means never; `random` is uniform in [0, 1). A due time is always later than `now_ms` and earlier
    than the expiry; where the drawn one is not, the message has `expired`. An `ambiguous` outcome is handed in only
    where the category says `retry`; when its attempts are used up the delivery is `unknown`, for one may have arrived.
    Raises ValueError for an outcome that is no failure.
    """
    if outcome.kind == "sent":
        msg = "a sent message is not tried again"
        raise ValueError(msg)
    if outcome.kind == "permanent":
        return GiveUp("failed", "permanent")
    backoff = AUTH_BACKOFF if outcome.code == AUTH_CODE else BACKOFFS[outcome.kind]
    if attempt >= backoff.max_attempts:
        return GiveUp("unknown" if outcome.kind == "ambiguous" else "failed", "max_attempts")
    due_ms = now_ms + _delay_ms(backoff, attempt, outcome.retry_after_s, random)
    if expires_ms and due_ms >= expires_ms:
        return GiveUp("expired", "expiry")
    return Retry(due_ms)


def _delay_ms(backoff: Backoff, attempt: int, retry_after_s: float, random: float) -> int:
    """Milliseconds to wait, at least 1."""
    # The exponent is bounded because 2^(10^6) is a number that takes seconds to compute.
    ceiling = min(backoff.cap_ms, backoff.base_ms << min(attempt - 1, 32))
    floor = min(max(0, round(retry_after_s * _SECOND_MS)), _LONGEST_FLOOR_MS)
    return floor + max(1, int(random * ceiling))
