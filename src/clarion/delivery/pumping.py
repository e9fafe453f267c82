"""Text messages pumped to one block of numbers: somebody has a tenant's form send codes to numbers he is paid for.

A block is what a number begins with: the calling code and the first digits behind it. Workers count what they send to
each, tell all others each second, and are told which blocks are stopped; so a flood is stopped within about a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from clarion.tenancy.spending import Guard

BLOCK_CHARACTERS: Final = 8
"""A plus sign and 7 digits: of most countries ten thousand to a million numbers."""

STOPPED_MS: Final = 3_600_000
"""How long a block stays stopped after the last sign of a flood."""

RULE: Final = "number_block"
"""The rule that ends a message to a stopped block."""

EXPLANATION: Final = "far more text messages than usual go to this block of numbers"


class Block(NamedTuple):
    """A tenant's messages to numbers that begin alike."""

    tenant_id: bytes
    prefix: str


class BlockCount(msgspec.Struct, frozen=True):
    """What was sent to a block since it was told last, and when the tenant calls that a flood."""

    block: Block
    sent: int
    guard: Guard


class Stopped(msgspec.Struct, frozen=True):
    """A block that takes nothing until `until_ms` (UTC). `is_new`: this call has stopped it."""

    block: Block
    until_ms: int
    is_new: bool


class BlockStore(Protocol):
    """Counts by block, which all processes share."""

    async def tell(self, counts: Sequence[BlockCount], now_ms: int) -> list[Stopped]:
        """Add counts, and stop the blocks that are flooded; all that are stopped of these tenants.

        Flooded is a block that got more in this UTC hour than its tenant's `floor`, and more than `factor` times the
        hourly mean of the last UTC day. A count of 0 only asks. Raises Transient.
        """
        ...


def block_of(tenant_id: bytes, number: str) -> Block:
    """The block of a number in E.164."""
    return Block(tenant_id, number[:BLOCK_CHARACTERS])


class Blocks:
    """The blocks as one process knows them: what it sent since it told, and which are stopped."""

    def __init__(self) -> None:
        self._sent: dict[Block, BlockCount] = {}
        self._stopped: dict[Block, int] = {}
        self._tenants: dict[bytes, Guard] = {}

    def is_stopped(self, block: Block, now_ms: int) -> bool:
        """Whether nothing is to be sent there now."""
        return bool(self._stopped) and self._stopped.get(block, 0) > now_ms

    def sent(self, block: Block, guard: Guard) -> None:
        """Count a message that was sent."""
        known = self._sent.get(block)
        self._sent[block] = BlockCount(block, 1 if known is None else known.sent + 1, guard)
        self._tenants[block.tenant_id] = guard

    def drain(self) -> list[BlockCount]:
        """What to tell: the counts since the last time, and a question for each tenant that has none."""
        counts, self._sent = self._sent, {}
        told = {block.tenant_id for block in counts}
        asking = [
            BlockCount(Block(tenant_id, ""), 0, guard)
            for tenant_id, guard in self._tenants.items()
            if tenant_id not in told
        ]
        return [*counts.values(), *asking]

    def restore(self, counts: Sequence[BlockCount]) -> None:
        """Take back what could not be told."""
        for count in counts:
            if count.sent:
                known = self._sent.get(count.block)
                more = count.sent + (known.sent if known else 0)
                self._sent[count.block] = BlockCount(count.block, more, count.guard)

    def learn(self, stopped: Sequence[Stopped], now_ms: int) -> None:
        """Take over which blocks are stopped. Tenants without any, who send no more, are asked about no more."""
        self._stopped = {
            block: until_ms for block, until_ms in self._stopped.items() if until_ms > now_ms
        } | {one.block: one.until_ms for one in stopped}
        held = {block.tenant_id for block in self._stopped} | {block.tenant_id for block in self._sent}
        self._tenants = {tenant_id: guard for tenant_id, guard in self._tenants.items() if tenant_id in held}
