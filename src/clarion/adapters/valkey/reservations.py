"""Daily allowances: `cap:{bb}:<user>:<scope>:<day>` is the SET of the deliveries that have a place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.adapters.valkey.client import ScriptArgument, ValkeyClients, call_script, load_script
from clarion.adapters.valkey.keyed import BUCKETS, KeyedCall, KeyedScript, run_keyed
from clarion.delivery.ports import CapRequest

LIFE_MS: Final = 3 * 24 * 3600 * 1000
"""From the first place taken: a calendar day lasts 50 hours around the world, and its deliveries may be retried."""

SCAN_COUNT: Final = 5_000
"""Keys that are looked at in one script call: about a millisecond."""

USED_TIMEOUT_S: Final = 0.2
"""A request waits for it, and is decided without it; the binding reservation may take its time."""


class ValkeyReservations:
    """`delivery.ports.Reservations` on Valkey: one script call a batch (on a cluster: one a bucket of users)."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._reserve = KeyedScript(load_script("caps_reserve"), (LIFE_MS,))
        self._release = KeyedScript(load_script("caps_release"))
        self._forget = load_script("caps_forget")
        self._used = KeyedScript(load_script("caps_used"), timeout_s=USED_TIMEOUT_S)

    async def reserve(self, requests: Sequence[CapRequest]) -> list[bool]:
        """Whether each request has a place. Raises Transient: then ask again, which takes no place twice."""
        calls = [_call(request, request.delivery_id, request.limit) for request in requests]
        return [answer == 1 for answer in await self._run(self._reserve, calls)]

    async def release(self, requests: Sequence[CapRequest]) -> None:
        """Give places back. Raises Transient."""
        await self._run(self._release, [_call(request, request.delivery_id) for request in requests])

    async def used(self, requests: Sequence[CapRequest]) -> list[int]:
        """Places taken of each request's (user, scope, day). Raises Transient."""
        return await self._run(self._used, [_call(request) for request in requests])

    async def forget(self, user_id: int) -> int:
        """Remove all that a user's days hold; of how many days and scopes. Raises Transient.

        To be asked seldom, for every key of the node is looked at, in portions that hold nobody up.
        """
        bucket = user_id % BUCKETS
        where, pattern = b"cap:{%02d}" % bucket, b"cap:{%02d}:%d:*" % (bucket, user_id)
        cursor, forgotten = b"0", 0
        while True:
            cursor, found = await call_script(
                self._clients.write, self._forget, [where], [cursor, pattern, SCAN_COUNT]
            )
            forgotten += found
            if cursor == b"0":
                return forgotten

    async def _run(self, script: KeyedScript, calls: Sequence[KeyedCall]) -> list[int]:
        client = self._clients.read if script is self._used else self._clients.write
        return await run_keyed(client, script, calls, is_cluster=self._clients.is_cluster)


def _call(request: CapRequest, *args: ScriptArgument) -> KeyedCall:
    bucket = request.user_id % BUCKETS
    key = b"cap:{%02d}:%d:%s:%d" % (bucket, request.user_id, request.scope.encode(), request.day)
    return KeyedCall(bucket, key, args)
