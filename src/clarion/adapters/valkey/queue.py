"""The work queue: lines per priority, backlogs per tenant, a schedule and leases, in Valkey.

Nothing here is the truth. Postgres is; whatever Valkey loses is queued again by the sweeper, so an item may come twice,
and whoever takes it asks Postgres whether it is still open. What each structure holds stands in
`lua/queue_common.lua`; each method is one script call a channel.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from clarion.adapters.valkey.client import (
    COMMAND_TIMEOUT_S,
    Script,
    ScriptArgument,
    ValkeyClients,
    call_script,
    guarded,
    load_script,
)
from clarion.contracts.channels import CHANNELS
from clarion.contracts.work import LOWEST_PRIORITY, QueueDepths, WorkItem, pack_entry, unpack_entry

CLAIM_MOST: Final = 2000
"""Items that one claim takes at most, whatever its limit: as many as a line may hold."""

BATCH_MOST: Final = 5000
"""Items in one script call: a longer batch is split, so that no script holds the server for long."""

WAIT_MOST_S: Final = 2.0
"""A wait ends early rather than trust a connection, or a token, for longer."""

ENQUEUE_TIMEOUT_S: Final = 0.5
"""Accepts wait for this: a Valkey that hangs costs them half a second, and the sweeper queues what they could not."""

_RECORD: Final = struct.Struct(">d16s16sB")
_PRIORITIES: Final = LOWEST_PRIORITY + 1

_ENQUEUE: Final = load_script("queue_common", "queue_enqueue")
_CLAIM: Final = load_script("queue_common", "queue_claim")
_PROMOTE: Final = load_script("queue_common", "queue_promote")
_REAP: Final = load_script("queue_common", "queue_reap")
_ENDED: Final = load_script("queue_common", "queue_ended")
_FEED: Final = load_script("queue_common", "queue_feed")
_DEPTHS: Final = load_script("queue_common", "queue_depths")


class _Shard(msgspec.Struct, frozen=True):
    """Where a region's queue lies: its keys, and scripts run on them."""

    clients: ValkeyClients
    region: str
    number: int

    def key(self, structure: str, channel: str) -> str:
        return f"{structure}:{{{self.region}:{channel}:{self.number}}}"

    async def run(self, script: Script, channel: str, *args: ScriptArgument) -> Any:  # noqa: ANN401  see call_script
        return await call_script(self.clients.write, script, [self.key("queue", channel)], args)

    async def put(self, items: Sequence[WorkItem], timeout_s: float, *, releases: bool) -> None:
        """Queue items, after giving up their leases if `releases`: channels side by side, each in order."""

        async def put_channel(channel: str, batch: list[WorkItem]) -> None:
            key = self.key("queue", channel)
            for i in range(0, len(batch), BATCH_MOST):
                records = _pack_records(batch[i : i + BATCH_MOST])
                await call_script(self.clients.write, _ENQUEUE, [key], [records, int(releases)], timeout_s)

        await asyncio.gather(*(put_channel(channel, batch) for channel, batch in _by_channel(items).items()))

    async def discard(self, structure: str, items: Sequence[WorkItem]) -> None:
        """Take items out of a sorted set."""
        for channel, batch in _by_channel(items).items():
            members = [pack_entry(item) for item in batch]
            async with guarded():
                await self.clients.write.execute_command("ZREM", self.key(structure, channel), *members)


def _by_channel(items: Sequence[WorkItem]) -> dict[str, list[WorkItem]]:
    channels: dict[str, list[WorkItem]] = {}
    for item in items:
        channels.setdefault(item.channel, []).append(item)
    return channels


def _pack_records(items: Sequence[WorkItem]) -> bytes:
    pack = _RECORD.pack
    return b"".join([pack(item.due_ms, item.delivery_id, item.tenant_id, item.priority) for item in items])


class ValkeyQueue:
    """One region's queue (one shard of it) on Valkey: work source, work sink, scheduler, reaper and sweeper's probe.

    Every method raises Transient where Valkey is away; what it was to do may then have happened or not, and may be
    asked for again: nothing is lost by a repetition. FIFO within a tenant and priority, but for items whose lease ended
    (they go to the head) and items that were scheduled (they join when they are due).
    """

    def __init__(self, clients: ValkeyClients, region: str, shard: int = 0) -> None:
        self._shard = _Shard(clients, region, shard)

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        """Queue items now (`due_ms` 0 or past) or for their time. Raises Transient after ENQUEUE_TIMEOUT_S.

        Items of the same second beyond the ten thousandth, urgent ones excepted, are spread over the minute after it.
        """
        await self._shard.put(items, ENQUEUE_TIMEOUT_S, releases=False)

    async def claim(
        self, channel: str, limit: int, *, lease_ms: int, urgent_only: bool = False
    ) -> list[WorkItem]:
        """Up to `limit` (and CLAIM_MOST) due items, leased for `lease_ms` of the server's time; urgent ones first.

        Priorities 0 to 2 are strict; the classes 3-4, 5-7 and 8-10 share the rest 80 : 15 : 5, and each of them that
        has work gets 5 % of what is claimed, even under a flood of urgent work. Tenants take turns.
        """
        wanted = min(limit, CLAIM_MOST)
        if wanted <= 0:
            return []
        entries = await self._shard.run(_CLAIM, channel, wanted, lease_ms, int(urgent_only))
        return [unpack_entry(entry, channel) for entry in entries]

    async def ack(self, items: Sequence[WorkItem]) -> None:
        """Forget claimed items. Unknown ones are ignored.

        There is no lease token: who acks an item has concluded it in Postgres, where the epoch decides, so the lease of
        another worker on the same item has nothing left to protect.
        """
        await self._shard.discard("inflight", items)

    async def postpone(self, items: Sequence[WorkItem]) -> None:
        """Ack the items and queue them again for their `due_ms`, in one step."""
        await self._shard.put(items, COMMAND_TIMEOUT_S, releases=True)

    async def wait(self, channel: str, timeout_s: float, *, urgent_only: bool = False) -> None:
        """Return when work may be there, after `timeout_s` (and WAIT_MOST_S) at the latest.

        Work that comes between a claim and the wait is not missed: its token stays. Raises Transient where Valkey is
        away, at once, so callers back off; where it hangs, the wait just ends.
        """
        bound = max(0.01, min(timeout_s, WAIT_MOST_S))  # 0 would block for ever
        key = self._shard.key("wake", channel) + (":urgent" if urgent_only else "")
        slack_s = 0.25  # the server looks at its timeouts ten times a second
        async with guarded():
            try:
                async with asyncio.timeout(bound + slack_s):
                    await self._shard.clients.blocking.execute_command("BLPOP", key, bound)
            except TimeoutError:
                return

    async def promote(self, channel: str, limit: int) -> int:
        """Put up to `limit` (and BATCH_MOST) scheduled items that are due in line, earliest first; how many."""
        return int(await self._shard.run(_PROMOTE, channel, min(limit, BATCH_MOST)))

    async def feed(self, channel: str) -> int:
        """Fill the lines from the backlogs, tenants in turn by weight; how many moved.

        Claims feed the lines they find short, so this only keeps a standing supply ready between them.
        """
        return int(await self._shard.run(_FEED, channel))

    async def ended(self, channel: str, limit: int) -> list[WorkItem]:
        """Up to `limit` (and BATCH_MOST) items whose lease has ended, oldest first: those that `reap` takes next."""
        entries = await self._shard.run(_ENDED, channel, min(limit, BATCH_MOST))
        return [unpack_entry(entry, channel) for entry in entries]

    async def reap(self, channel: str, limit: int) -> int:
        """Bring up to `limit` (and BATCH_MOST) items whose lease has ended to the heads of their lines; how many."""
        return int(await self._shard.run(_REAP, channel, min(limit, BATCH_MOST)))

    async def remove(self, items: Sequence[WorkItem]) -> None:
        """Take items out of the schedule, as far as they are there.

        Items in line stay: a worker finds them cancelled in Postgres.
        """
        await self._shard.discard("ml_send_queue", items)

    async def depths(self, channel: str) -> QueueDepths:
        """How full the channel's structures are, at one instant."""
        counts = tuple(int(count) for count in await self._shard.run(_DEPTHS, channel))
        return QueueDepths(
            counts[:_PRIORITIES], counts[_PRIORITIES : 2 * _PRIORITIES], *counts[2 * _PRIORITIES :]
        )

    async def weigh(self, tenant_id: bytes, weight: int) -> None:
        """Give a tenant turns of `weight` (at least 1) times the usual size, on all channels, until Valkey is wiped."""
        async with guarded():
            for channel in CHANNELS:
                key = self._shard.key("weights", channel)
                await self._shard.clients.write.execute_command("HSET", key, tenant_id.hex(), max(1, weight))

    async def holds_marker(self) -> bool:
        """Whether Valkey still is what `mark` marked. If not, it was wiped (on a cluster: one of its nodes was)."""
        async with guarded():
            marks = [
                await self._shard.clients.read.execute_command(
                    "EXISTS", self._shard.key("generation", channel)
                )
                for channel in CHANNELS
            ]
        return all(marks)

    async def mark(self) -> None:
        """Say that the queue holds all open work.

        To be called after the rebuild, not before: a sweeper that dies in the middle must leave no marker.
        """
        async with guarded():
            for channel in CHANNELS:
                await self._shard.clients.write.execute_command(
                    "SET", self._shard.key("generation", channel), 1
                )
