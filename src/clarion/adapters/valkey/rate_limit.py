"""Token buckets that all processes share: `rate:{tenant}:<route class>` holds when the bucket will be full.

`quota:{tenant}:<day>` holds how many places of a tenant's day are taken; both are taken by one call, or none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clarion.adapters.valkey.client import ValkeyClients, load_script
from clarion.adapters.valkey.keyed import KeyedCall, KeyedScript, run_keyed
from clarion.tenancy.quotas import SLACK_S, GiveBack, Take, Verdict, over_quota, verdict_of

TIMEOUT_S: Final = 0.2
"""A request waits for this; a local limiter can decide too."""

COUNTER_KEPT_MS: Final = 3_600_000
"""How long a day's counter outlives its day: clocks differ a little."""

_MS: Final = 1000
_UNLIMITED: Final = -1
_COUNTER: Final = -2


class ValkeyRateLimiter:
    """`orchestration.ports.RateLimiter` on Valkey: one script call for all takes (on a cluster: one a tenant)."""

    def __init__(self, clients: ValkeyClients, timeout_s: float = TIMEOUT_S) -> None:
        self._clients = clients
        self._take = KeyedScript(load_script("rate_take"), (SLACK_S * _MS,), timeout_s)
        self._give_back = KeyedScript(load_script("quota_return"), (), timeout_s)

    async def take(self, takes: Sequence[Take]) -> list[Verdict]:
        """Takes of one bucket are served in order by one read and one write of it.

        Rate and burst are those of the bucket's last take, as they are its newest.
        """
        buckets: defaultdict[tuple[bytes, str, int], list[int]] = defaultdict(list)
        for index, take in enumerate(takes):
            buckets[take.tenant_id, take.route_class, take.quota.day if take.quota else 0].append(index)
        answers = await run_keyed(
            self._clients.write,
            self._take,
            [call for group in buckets.values() for call in _calls([takes[index] for index in group])],
            is_cluster=self._clients.is_cluster,
        )
        verdicts: dict[int, Verdict] = {}
        rest = iter(answers)
        for group in buckets.values():
            marks = next(rest).split(b",")
            if takes[group[0]].quota is not None:
                next(rest)  # the counter's own answer
            for index, mark in zip(group, marks, strict=True):
                verdicts[index] = _verdict(takes[index], mark)
        return [verdicts[index] for index in range(len(takes))]

    async def give_back(self, places: Sequence[GiveBack]) -> None:
        """Free places of the day again; see `RateLimiter.give_back`."""
        calls = [
            KeyedCall(_tag(one.tenant_id), _counter(one.tenant_id, one.day), (one.places,)) for one in places
        ]
        await run_keyed(self._clients.write, self._give_back, calls, is_cluster=self._clients.is_cluster)


def _tag(tenant_id: bytes) -> bytes:
    return tenant_id.hex().encode()


def _counter(tenant_id: bytes, day: int) -> bytes:
    return b"quota:{%s}:%d" % (_tag(tenant_id), day)


def _calls(takes: Sequence[Take]) -> list[KeyedCall]:
    """The bucket of these takes, and after it the counter of their day where they have one."""
    last = takes[-1]
    tenant = _tag(last.tenant_id)
    per_token_ms = _MS / last.rate_per_s
    costs = ",".join(str(take.cost) for take in takes)
    limit = _UNLIMITED if last.quota is None else last.quota.limit
    bucket = b"rate:{%s}:%s" % (tenant, last.route_class.encode())
    calls = [KeyedCall(tenant, bucket, (per_token_ms, last.burst * per_token_ms, costs, limit))]
    if last.quota is not None:
        kept_ms = int(last.quota.ends_in_s * _MS) + COUNTER_KEPT_MS
        counter = _counter(last.tenant_id, last.quota.day)
        calls.append(KeyedCall(tenant, counter, (kept_ms, 0, "", _COUNTER)))
    return calls


def _verdict(take: Take, mark: bytes) -> Verdict:
    full_in, _, used = mark[1:].partition(b":")
    full_in_s = float(full_in) / _MS
    if mark.startswith(b"q") and take.quota is not None:
        return over_quota(take, take.quota, int(used), full_in_s)
    verdict = verdict_of(take, allowed=mark.startswith(b"+"), full_in_s=full_in_s)
    return replace(verdict, used=int(used)) if used else verdict
