"""The paces of accounts: `pace:{tenant}:<account>` is a HASH, `pace_day:{tenant}:<what>:<day>` a number."""

from __future__ import annotations

from typing import Final

from clarion.adapters.valkey.client import ScriptArgument, ValkeyClients, call_script, load_script
from clarion.delivery.circuit import CircuitKey
from clarion.delivery.pace import Ask, Grant, Slowing

TIMEOUT_S: Final = 0.5
"""A portion waits for it; a process can pace by itself, too."""


class ValkeyPaces:
    """`delivery.pacing.PaceStore` on Valkey, by its clock: one script call a portion."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._take = load_script("pace_common", "pace_take")
        self._slow = load_script("pace_common", "pace_slow")

    async def take(self, ask: Ask, now_ms: int) -> Grant:
        """Tokens for a portion. Raises Transient: some may then have been taken."""
        keys: list[str | bytes] = [_key(ask.key)]
        args: list[ScriptArgument] = [ask.count, ask.urgent, ask.behind, ask.per_s]
        for day in ask.days:
            keys.append(b"pace_day:{%s}:%s:%d" % (ask.key[0].hex().encode(), day.name.encode(), day.day))
            args += [day.limit, day.ends_ms - now_ms]
        taken, wait, following, step = await call_script(
            self._clients.write, self._take, keys, args, TIMEOUT_S
        )
        return Grant(taken, float(wait), float(following), float(step))

    async def slow(self, slowing: Slowing) -> None:
        """Slow a pace. Raises Transient: it may then have been slowed."""
        args: list[ScriptArgument] = [
            *(slowing.sent, slowing.throttled, slowing.seen_per_s),
            *(slowing.closed_ms, slowing.told_per_s),
        ]
        await call_script(self._clients.write, self._slow, [_key(slowing.key)], args, TIMEOUT_S)


def _key(key: CircuitKey) -> bytes:
    return b"pace:{%s}:%s" % (key[0].hex().encode(), key[1].encode())
