"""From outcomes to the devices that are to be forgotten."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from clarion.audience.dead_devices import DeadDevice
from clarion.delivery.model import Outcome
from clarion.delivery.run import DispatchPorts, Ready
from clarion.kernel.errors import Transient


async def forget_dead(ready: Sequence[Ready], outcomes: Sequence[Outcome], ports: DispatchPorts) -> None:
    """Hand on the devices that died, where there are any. Never raises Transient: the next message finds them again."""
    dying = [outcome for outcome in outcomes if outcome.dead_tokens]
    if not dying:
        return
    tenants = {one.job.item.delivery_id: one.job.item.tenant_id for one in ready}
    now_ms = ports.clock.now_ms()
    dead = [
        DeadDevice(tenants[outcome.delivery_id], token.token, token.since_ms or now_ms)
        for outcome in dying
        for token in outcome.dead_tokens
    ]
    with contextlib.suppress(Transient):
        await ports.dead_devices.forget(dead)
