"""What the routes share for the life of the application: everything that keeps something between requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from clarion.adapters.postgres.idempotency import PostgresIdempotency
from clarion.bootstrap import Gateway
from clarion.entrypoints.api.auth import Authenticator
from clarion.entrypoints.api.cards import CardKeeper
from clarion.entrypoints.api.throttle import Throttle
from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import ClarionError
from clarion.orchestration.accept import Answer, Ask, accept

ACCEPT_BATCH: Final = 500
"""Single requests that are accepted together at most; design section 2 has its times for this size."""


class Acceptor:
    """The way into `orchestration.accept`: single requests together, batches one at a time, both counted."""

    def __init__(self, gateway: Gateway) -> None:
        concurrency = gateway.region.settings.accept_concurrency
        self._gateway = gateway
        self._metrics = gateway.region.metrics
        self._clock = gateway.region.clock
        self._singles: Coalescer[Ask, Answer] = Coalescer(
            self._run, limit=ACCEPT_BATCH, concurrency=concurrency
        )
        self._batches: Coalescer[Ask, Answer] = Coalescer(self._run, limit=1, concurrency=concurrency)

    async def submit(self, ask: Ask) -> Answer:
        """The answer to one request. Raises what it is refused with."""
        return await (self._batches if ask.batch else self._singles).submit(ask)

    async def _run(self, asks: list[Ask]) -> Sequence[Answer | ClarionError]:
        began_s = self._clock.monotonic()
        answers = await accept(asks, self._gateway.accept)
        self._metrics.stage_seconds.labels("accept").observe(self._clock.monotonic() - began_s)
        accepted = 0
        rules: dict[tuple[str, ...], int] = {}
        for answer in answers:
            if isinstance(answer, Answer):
                accepted += answer.accepted
                for rule in answer.rules:
                    rules[rule,] = rules.get((rule,), 0) + 1
        self._metrics.accepts.inc(accepted)
        self._metrics.count(self._metrics.decisions, rules)
        return answers


class Services(msgspec.Struct, frozen=True):
    """The gateway, and what stands between it and the routes."""

    gateway: Gateway
    authenticator: Authenticator
    throttle: Throttle
    acceptor: Acceptor
    idempotency: PostgresIdempotency
    cards: CardKeeper


def build_services(gateway: Gateway) -> Services:
    """The services of one application."""
    region = gateway.region
    return Services(
        gateway=gateway,
        authenticator=Authenticator(region.keys, region.clock.monotonic),
        throttle=Throttle(gateway.limiter, gateway.local_limiter, region.clock),
        acceptor=Acceptor(gateway),
        idempotency=PostgresIdempotency(
            region.pools, region.vault, holders=max(1, region.settings.pool_size // 3)
        ),
        cards=CardKeeper(region.card_cache, region.users),
    )
