"""When which run of a journey is to be looked at, with its state beside it, in Valkey.

Nothing here is the truth: that is `journey_instances`. Whatever Valkey loses is scheduled again from there. What each
structure holds stands in `lua/journeys_common.lua`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from clarion.adapters.valkey.client import ScriptArgument, ValkeyClients, call_script, guarded, load_script
from clarion.journeys.model import Instance
from clarion.journeys.ports import Claim, Planned

BATCH_MOST: Final = 1_000
"""Runs in one script call: a longer batch is split, so that no script holds the server for long."""

_CLAIM: Final = load_script("journeys_common", "journeys_claim")
_SETTLE: Final = load_script("journeys_common", "journeys_settle")
_SCHEDULE: Final = load_script("journeys_common", "journeys_schedule")

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Instance).decode


class ValkeyContinuations:
    """`journeys.ports.Continuations`: one shard of a region's."""

    def __init__(self, clients: ValkeyClients, region: str, shard: int = 0) -> None:
        tag = f"{{{region}:{shard}}}"
        self._clients = clients
        self._key = f"journey_continuations:{tag}"
        self._prefix = f"journey_state:{tag}:"
        self._marker = f"journey_marker:{tag}"

    async def claim(self, limit: int, lease_ms: int) -> list[Claim]:
        """Lease due runs; see `Continuations.claim`. One script call."""
        answer = await call_script(
            self._clients.write, _CLAIM, [self._key], [self._prefix, min(limit, BATCH_MOST), lease_ms]
        )
        return [
            Claim(run, epoch, _read(state))
            for run, epoch, state in zip(answer[::3], answer[1::3], answer[2::3], strict=True)
        ]

    async def settle(self, settled: Sequence[tuple[Claim, Planned]]) -> None:
        """Give leases back; see `Continuations.settle`."""
        for i in range(0, len(settled), BATCH_MOST):
            arguments: list[ScriptArgument] = [self._prefix]
            for claim, plan in settled[i : i + BATCH_MOST]:
                arguments += (claim.instance_id, claim.epoch, plan.due_ms, plan.seq, _write(plan.instance))
            await call_script(self._clients.write, _SETTLE, [self._key], arguments)

    async def schedule(self, planned: Sequence[Planned]) -> None:
        """Set due times; see `Continuations.schedule`."""
        for i in range(0, len(planned), BATCH_MOST):
            arguments: list[ScriptArgument] = [self._prefix]
            for plan in planned[i : i + BATCH_MOST]:
                arguments += (plan.instance_id, plan.due_ms, plan.seq, _write(plan.instance))
            await call_script(self._clients.write, _SCHEDULE, [self._key], arguments)

    async def holds_marker(self) -> bool:
        """Whether it is what `mark` marked; see `Continuations.holds_marker`."""
        async with guarded():
            return bool(await self._clients.read.execute_command("EXISTS", self._marker))

    async def mark(self) -> None:
        """Say that it is whole; see `Continuations.mark`."""
        async with guarded():
            await self._clients.write.execute_command("SET", self._marker, "1")

    async def lag_ms(self, now_ms: int) -> int:
        """How long the run that has waited longest has been due (0: none is). Raises Transient."""
        async with guarded():
            first = await self._clients.read.execute_command("ZRANGE", self._key, 0, 0, "WITHSCORES")
        return max(0, now_ms - int(float(first[1]))) if first else 0


def _write(instance: Instance | None) -> bytes:
    return b"" if instance is None else _encode(instance)


def _read(state: bytes) -> Instance | None:
    """The state; None where it is of another age."""
    try:
        return _decode(state) if state else None
    except msgspec.MsgspecError:
        return None
