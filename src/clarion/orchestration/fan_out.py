"""Fanning out: a chunk of a broadcast's audience becomes notifications, in the one transaction that also says so.

A worker that dies before the commit leaves the chunk as it was; one that dies after it leaves it done. So nobody is
skipped and nobody is told twice, whoever tries and however often.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from clarion.contracts.channels import CHANNELS
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.prices import unit_price
from clarion.kernel.errors import ClarionError
from clarion.orchestration.accept import AcceptPorts, Answer, Ask, accept, foresee
from clarion.orchestration.broadcasts import Chunk, requests_for
from clarion.orchestration.chunks import record_progress
from clarion.orchestration.errors import ChunkOvertaken
from clarion.orchestration.model import ChunkProgress, Submission
from clarion.orchestration.rows import Decided
from clarion.tenancy.config import ProviderConfig

MICROS: Final = 1_000_000


class Forecast(msgspec.Struct, frozen=True):
    """What a chunk, or a whole rehearsal, would come to.

    `members` examined; `later`: of those who would get something, those whose first message is not for now. `messages`
    and `cost_micros` by channel (a member may get several).
    """

    members: int = 0
    reached: int = 0
    later: int = 0
    blocked: int = 0
    refused: int = 0
    messages: dict[str, int] = {}
    cost_micros: dict[str, int] = {}


class RehearsalStore(Protocol):
    """Where rehearsals are kept."""

    async def settle_rehearsed(self, progress: ChunkProgress, forecast: Forecast) -> bool:
        """Record what a chunk would come to. False: somebody else did, or the broadcast was cancelled."""
        ...


async def expand(chunk: Chunk, ports: AcceptPorts) -> Answer | None:
    """Accept a chunk's members. None: it was overtaken, and nothing was done.

    Raises Transient: then nothing was promised, or (where the connection broke during the commit) all of it, and the
    next try finds out which.
    """
    (answer,) = await accept([_ask(chunk)], ports)
    if isinstance(answer, ChunkOvertaken):
        return None
    if isinstance(answer, ClarionError):
        raise answer
    return answer


async def rehearse(chunk: Chunk, ports: AcceptPorts, store: RehearsalStore) -> bool:
    """Decide about a chunk's members as of the instant they are due, and keep what it would come to. Sends nothing."""
    at_ms = max(chunk.due_ms, ports.clock.now_ms())
    results = await foresee(_ask(chunk), ports, at_ms)
    config = await ports.configs.get(chunk.tenant_id)
    progress = record_progress(chunk.ref, results, at_ms)
    return await store.settle_rehearsed(progress, forecast_of(results, price_list(config.providers, at_ms)))


def _ask(chunk: Chunk) -> Ask:
    requests = requests_for(chunk.ref.broadcast_id, chunk.message, chunk.names)
    items: list[Submission | ClarionError] = [Submission(request) for request in requests]
    return Ask(chunk.tenant_id, chunk.environment, items, batch=True, chunk=chunk.ref)


def forecast_of(results: Sequence[Decided | ClarionError], prices: Mapping[str, float]) -> Forecast:
    """What decided members would come to, at these prices a message by channel (millionths of the currency's unit)."""
    decided = [result for result in results if isinstance(result, Decided)]
    reached = [one.decision for one in decided if one.decision.choices]
    messages = Counter(CHANNELS[choice.channel] for one in reached for choice in one.choices)
    return Forecast(
        members=len(results),
        reached=len(reached),
        later=sum(one.choices[0].due_ms > 0 for one in reached),
        blocked=len(decided) - len(reached),
        refused=len(results) - len(decided),
        messages=dict(messages),
        cost_micros={channel: round(count * prices.get(channel, 0.0)) for channel, count in messages.items()},
    )


def price_list(providers: Sequence[ProviderConfig], at_ms: int) -> dict[str, float]:
    """The expected price of a message by channel at `at_ms`: each enabled provider's, by its share of the messages."""
    shares: dict[str, list[tuple[int, int]]] = {}
    for provider in providers:
        if provider.enabled:
            price = unit_price(provider, ANYWHERE, at_ms)
            shares.setdefault(provider.channel, []).append((provider.weight, price))
    return {channel: _expected(share) for channel, share in shares.items()}


def _expected(share: Sequence[tuple[int, int]]) -> float:
    """The mean price by weight; where all stand by (weight 0), the plain mean."""
    weights = [weight for weight, _ in share] if any(weight for weight, _ in share) else [1] * len(share)
    return sum(weight * cost for weight, (_, cost) in zip(weights, share, strict=True)) / sum(weights)


def add_forecasts(forecasts: Sequence[Forecast]) -> Forecast:
    """The sum of the chunks' forecasts."""
    messages: Counter[str] = Counter()
    cost: Counter[str] = Counter()
    for one in forecasts:
        messages.update(one.messages)
        cost.update(one.cost_micros)
    return Forecast(
        members=sum(one.members for one in forecasts),
        reached=sum(one.reached for one in forecasts),
        later=sum(one.later for one in forecasts),
        blocked=sum(one.blocked for one in forecasts),
        refused=sum(one.refused for one in forecasts),
        messages=dict(messages),
        cost_micros=dict(cost),
    )
