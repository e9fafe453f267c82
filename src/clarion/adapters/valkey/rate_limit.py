"""Token buckets that all processes share: `rate:{tenant}:<route class>` holds when the bucket will be full."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from clarion.adapters.valkey.client import ValkeyClients, load_script
from clarion.adapters.valkey.keyed import KeyedCall, KeyedScript, run_keyed
from clarion.tenancy.quotas import SLACK_S, Take, Verdict, verdict_of

TIMEOUT_S: Final = 0.2
"""A request waits for this; a local limiter can decide too."""

_MS: Final = 1000


class ValkeyRateLimiter:
    """`orchestration.ports.RateLimiter` on Valkey: one script call for all takes (on a cluster: one a tenant)."""

    def __init__(self, clients: ValkeyClients, timeout_s: float = TIMEOUT_S) -> None:
        self._clients = clients
        self._take = KeyedScript(load_script("rate_take"), (SLACK_S * _MS,), timeout_s)

    async def take(self, takes: Sequence[Take]) -> list[Verdict]:
        """Takes of one bucket are served in order by one read and one write of it.

        Rate and burst are those of the bucket's last take, as they are its newest.
        """
        buckets: defaultdict[tuple[bytes, str], list[int]] = defaultdict(list)
        for index, take in enumerate(takes):
            buckets[take.tenant_id, take.route_class].append(index)
        answers = await run_keyed(
            self._clients.write,
            self._take,
            [_call([takes[index] for index in group]) for group in buckets.values()],
            is_cluster=self._clients.is_cluster,
        )
        verdicts: dict[int, Verdict] = {}
        for group, answer in zip(buckets.values(), answers, strict=True):
            for index, mark in zip(group, answer.split(b","), strict=True):
                verdicts[index] = _verdict(takes[index], mark)
        return [verdicts[index] for index in range(len(takes))]


def _call(takes: Sequence[Take]) -> KeyedCall:
    last = takes[-1]
    tenant = last.tenant_id.hex().encode()
    per_token_ms = _MS / last.rate_per_s
    costs = ",".join(str(take.cost) for take in takes)
    return KeyedCall(
        tenant,
        b"rate:{%s}:%s" % (tenant, last.route_class.encode()),
        (per_token_ms, last.burst * per_token_ms, costs),
    )


def _verdict(take: Take, mark: bytes) -> Verdict:
    return verdict_of(take, allowed=mark.startswith(b"+"), full_in_s=float(mark[1:]) / _MS)
