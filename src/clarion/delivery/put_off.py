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
from clarion.delivery.router import OLD_MS, SPENT_MS
from clarion.delivery.run import DispatchPorts, Ready, Run
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.environments import accounts_for

UNTOLD_MS: Final = 30_000
"""A shorter wait is the queue's matter alone. A longer one is written down, where traces show it and its end."""


async def put_off(ready: Sequence[Ready], account: ProviderConfig, grant: Grant, run: Run) -> None:
    """Queue each for the time at which its token is there, or for another account; what expires before ends."""
    now_ms = run.ports.clock.now_ms()
    if grant.next_ms > SPENT_MS and _has_other(ready[0], account, run.ports, now_ms):
        # The next table leaves this account out.
        due_ms = now_ms + OLD_MS
        await run.claimed.postpone([replace(one.job.item, due_ms=due_ms) for one in ready])
        return
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


def _has_other(one: Ready, account: ProviderConfig, ports: DispatchPorts, now_ms: int) -> bool:
    """Whether another account of the channel has tokens, and works."""
    keys = [
        (other.tenant_id, other.name)
        for other in accounts_for(one.config, is_test=one.job.is_test)
        if other.enabled and other.channel == account.channel and other.name != account.name
    ]
    return any(
        ports.pacing.full_until(key) <= now_ms + SPENT_MS and ports.circuits.state_of(key).state != "open"
        for key in keys
    )
