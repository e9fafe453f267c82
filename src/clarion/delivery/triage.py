"""What to do with a job before anything is spent on it. Pure."""

from __future__ import annotations

from typing import Final

from clarion.delivery.conclude import Closing, Rule, close
from clarion.delivery.model import Job
from clarion.tenancy.config import TenantConfig

EARLY_MS: Final = 1_000
"""A job that is due this little in the future is due: clocks of two stores are never the same."""

LOST_ATTEMPT: Final = Rule("attempt_lost", "the worker died between its intent and its outcome")


def held_elsewhere(job: Job) -> bool:
    """Whether another worker's lease on the job still runs."""
    return job.lease_live


def is_early(job: Job, now_ms: int) -> bool:
    """Whether the job is not due yet, by the store's clock."""
    return job.due_ms > now_ms + EARLY_MS


def close_early(job: Job, config: TenantConfig, *, idempotent: bool, now_ms: int) -> Closing | None:
    """How the job ends without a further attempt, or None where it goes on.

    `idempotent`: the provider of the lost attempt drops repeats. An attempt whose end nobody saw is settled by the
    category's `on_ambiguity`; an unmatched category is treated as `park`, because a duplicate cannot be taken back.
    """
    if job.state == "sending" and not idempotent:
        category = config.categories.get(job.category)
        if category is None or category.on_ambiguity == "park":
            return close(job, "unknown", LOST_ATTEMPT, now_ms)
    if job.expires_ms and now_ms >= job.expires_ms:
        return close(job, "expired", Rule("expiry", "it was not sent in time"), now_ms)
    if not job.sealed:
        return close(job, "failed", Rule("user_gone", "the user was deleted after the accept"), now_ms)
    return None
