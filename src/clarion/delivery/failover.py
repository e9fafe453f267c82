"""Failover: which failures another provider may do better, and whether there is one that has not been tried. Pure.

A provider that failed is noted as tried (`open_deliveries.tried`). While there is one that was not, and whose breaker
is not open, the next attempt goes to it at once; each provider gets a delivery so at most once. When all were tried,
the delivery goes on by the schedule of `retry`, at any of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from clarion.contracts.work import URGENT_PRIORITY
from clarion.delivery.circuit import ADDRESSEE_CODE
from clarion.delivery.circuits import Circuits
from clarion.delivery.model import AUTH_CODE, Job, Outcome
from clarion.tenancy.config import ProviderConfig

THROTTLE_PATIENCE_S: Final = 30.0
"""A throttled provider is well, and is waited for, if it asks for less than this. One-time codes do not wait."""

UNSURE_PAUSE_MS: Final = 500
"""Least pause where it may have been sent. At most twice as long, so that in all a failover takes less than 2 s."""

ELSEWHERE_CODES: Final = frozenset({"unsupported_content", "unsupported_channel", "too_large"})
"""Permanent refusals that speak of what one provider can carry: another may carry it."""


def moves_on(outcome: Outcome, priority: int, *, idempotent: bool) -> bool:
    """Whether the next attempt had better be another provider's. Not about whether there is a next attempt.

    What is said of the addressee alone (`rcpt_…`) another provider would hear too. After an ambiguous outcome the
    provider that drops repeats (`idempotent`) is the one that can take it without a duplicate.
    """
    # First what nearly all outcomes are.
    if outcome.kind == "sent" or outcome.code.startswith(ADDRESSEE_CODE):
        return False
    match outcome.kind:
        case "transient":
            return True
        case "throttled":
            return priority <= URGENT_PRIORITY or outcome.retry_after_s >= THROTTLE_PATIENCE_S
        case "permanent":
            return outcome.code in ELSEWHERE_CODES
        case "ambiguous":
            return not idempotent


def pause_ms(outcome: Outcome, priority: int, random: float) -> int:
    """How long to wait before another provider is asked, in milliseconds; `random` is uniform in [0, 1).

    Not at all, but where this one may have sent it after all: then a receipt that comes at once spares the user the
    second copy. What is urgent does not wait for it.
    """
    if outcome.kind != "ambiguous" or priority <= URGENT_PRIORITY:
        return 0
    return UNSURE_PAUSE_MS + int(random * UNSURE_PAUSE_MS)


def is_excused(outcome: Outcome) -> bool:
    """Whether an attempt does not count against its delivery: its account's credentials are wrong, not the message."""
    return outcome.code == AUTH_CODE


def has_untried(
    job: Job, failed: ProviderConfig, accounts: Iterable[ProviderConfig], circuits: Circuits
) -> bool:
    """Whether a provider that was not tried may be asked now, after `failed` failed for the first time."""
    if failed.name in job.tried:
        return False
    return any(
        account.name != failed.name
        and account.name not in job.tried
        and account.enabled
        and account.channel == job.item.channel
        and circuits.state_of((account.tenant_id, account.name)).state != "open"
        for account in accounts
    )


def untried_first(names: Iterable[str], tried: Collection[str]) -> list[str]:
    """Providers in the order in which to ask them for a delivery that `tried` failed: the others before these."""
    return sorted(names, key=lambda name: name in tried)
