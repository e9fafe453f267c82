"""What a chunk of a broadcast came to, counted for its books. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from clarion.kernel.errors import ClarionError, Invalid
from clarion.kernel.ids import block_range
from clarion.orchestration.model import ChunkProgress, ChunkRef
from clarion.orchestration.rows import Decided

UNKNOWN_USER: Final = "unknown_user"
"""Reason for a member who is not a user (any more): deleted since the snapshot, or never there."""

_USER_PATH: Final = "user_id"


def reason_of(error: ClarionError) -> str:
    """Why a member got no row, in a word: `unknown_user`, or the field that was refused."""
    path = error.path if isinstance(error, Invalid) else ""
    return UNKNOWN_USER if path == _USER_PATH else path or "invalid"


def blocking_rules(results: Sequence[object]) -> Counter[str]:
    """For each rule the members whom it left without a channel; a member counts once for each rule that did."""
    return Counter(
        rule
        for result in results
        if isinstance(result, Decided) and not result.decision.choices
        for rule in {reason.rule for reason in result.decision.reasons}
    )


def record_progress(ref: ChunkRef, results: Sequence[object], accepted_ms: int) -> ChunkProgress:
    """The books of an accepted chunk. `results`: a `Decided` or a ClarionError for each member."""
    decided = [result for result in results if isinstance(result, Decided)]
    return ChunkProgress(
        ref=ref,
        accepted_ms=accepted_ms,
        members=len(results),
        ids=block_range(decided[0].notification_id) if decided else None,
        refused=dict(Counter(reason_of(result) for result in results if isinstance(result, ClarionError))),
        rules=dict(blocking_rules(results)),
        statuses=dict(Counter(one.decision.status for one in decided)),
        deliveries=sum(len(one.decision.choices) for one in decided),
    )
