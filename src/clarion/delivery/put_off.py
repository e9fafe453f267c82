"""Putting off what an account has no token for: until there is one, without counting an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clarion.compliance.rules import EXPLANATIONS, Rule
from clarion.delivery import conclude
from clarion.delivery.conclude import defer
from clarion.delivery.pace import Grant
from clarion.delivery.record import finish, release
from clarion.delivery.run import Ready, Run

UNTOLD_MS: Final = 30_000
"""A shorter wait is the queue's matter alone. A longer one is written down, where traces show it and its end."""


async def put_off(ready: Sequence[Ready], grant: Grant, run: Run) -> None:
    """Queue each for the time at which its token is there; what expires before ends."""
    now_ms = run.ports.clock.now_ms()
    due = [now_ms + int(grant.next_ms + place * grant.step_ms) for place in range(len(ready))]
    soon = [
        replace(one.job.item, due_ms=due_ms)
        for one, due_ms in zip(ready, due, strict=True)
        if due_ms - now_ms <= UNTOLD_MS
    ]
    await run.claimed.postpone(soon)
    rule = conclude.Rule(Rule.QUOTA, EXPLANATIONS[Rule.QUOTA])
    later = list(zip(ready[len(soon) :], due[len(soon) :], strict=True))
    closings = [defer(one.job, rule, due_ms, now_ms) for one, due_ms in later]
    await finish(closings, run)
    await release([one for one, _ in later], closings, run.ports)
