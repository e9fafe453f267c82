"""The states of a delivery and what they mean, for every process and for the API."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal[
    "queued",
    "ml_scheduled",
    "scheduled",
    "deferred",
    "sending",
    "retrying",
    "sent",
    "delivered",
    "engaged",
    "blocked",
    "expired",
    "failed",
    "cancelled",
    "unknown",
]

WAITING: Final = frozenset({"queued", "ml_scheduled", "scheduled", "deferred", "retrying"})
TERMINAL: Final = frozenset(
    {"sent", "delivered", "engaged", "blocked", "expired", "failed", "cancelled", "unknown"}
)
"""Final for the ledger: the delivery needs no more work of ours. A receipt may still move `sent` on, never back."""
