"""What the routes share for the life of the application: everything that keeps something between requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

from clarion.adapters.egress import GuardedFetcher, read_networks
from clarion.adapters.globaldb.journey_migrations import GlobalMigrations
from clarion.adapters.postgres.audit import PostgresAuditLog
from clarion.adapters.postgres.idempotency import PostgresIdempotency
from clarion.adapters.postgres.members import PostgresMembers
from clarion.adapters.postgres.recipients import PostgresRecipients
from clarion.adapters.postgres.suppressions import PostgresSuppressions
from clarion.adapters.valkey.replays import ValkeyReplays
from clarion.audience.events import EventPorts
from clarion.bootstrap import Gateway, Region
from clarion.compliance.audit import AuditLog
from clarion.compliance.ports import SuppressionStore
from clarion.compliance.subscriptions import Subscriptions
from clarion.delivery.intake import Intake
from clarion.delivery.links.visits import Visits
from clarion.entrypoints.api.auth import Authenticator
from clarion.entrypoints.api.cards import CardKeeper
from clarion.entrypoints.api.entries import Entrance
from clarion.entrypoints.api.patience import Patience
from clarion.entrypoints.api.recorder import Recorder
from clarion.entrypoints.api.replies import Header
from clarion.entrypoints.api.throttle import Throttle, make_take, rate_headers, refusal_of
from clarion.entrypoints.api.tokens import PublishedKeys, TokenVerifier
from clarion.entrypoints.journeying import JourneyParts, build_journeys, open_facts, trigger_ports
from clarion.kernel.batch import Coalescer
from clarion.kernel.errors import ClarionError
from clarion.orchestration.accept import Answer, Ask, accept
from clarion.tenancy.members import MemberStore
from clarion.tenancy.model import Tenant
from clarion.tenancy.quotas import GiveBack, Take

ACCEPT_BATCH: Final = 500
"""Single requests that are accepted together at most; design section 2 has its times for this size."""

SINGLES_AT_A_TIME: Final = 2
"""Batches of single requests under way at most: one uses the time that the other waits for Postgres. More of them are
smaller, and a batch costs 2 to 3 ms whatever it holds. Whole batches are large already, and are not held to this."""

ACCEPT_CROWD: Final = 16
"""Single requests for which it pays to begin a batch beside another: a batch costs 2 to 3 ms, an item 0.03 to 0.04."""


class Admitted(msgspec.Struct, frozen=True):
    """What became of an ask: its answer, or why there is none; and what is left in its tenant's bucket."""

    outcome: Answer | ClarionError
    headers: list[Header]


class Acceptor:
    """The way into `orchestration.accept`: single requests together, batches one at a time.

    Tokens are taken by the batch too, one call for all: this is the path that a rate limit is made for.
    """

    def __init__(self, gateway: Gateway, throttle: Throttle) -> None:
        concurrency = gateway.region.settings.accept_concurrency
        self._ports = gateway.accept
        self._metrics = gateway.region.metrics
        self._clock = gateway.region.clock
        self._throttle = throttle
        self._singles: Coalescer[Ask, Admitted] = Coalescer(
            self._run,
            limit=ACCEPT_BATCH,
            concurrency=min(concurrency, SINGLES_AT_A_TIME),
            crowd=ACCEPT_CROWD,
        )
        self._batches: Coalescer[Ask, Admitted] = Coalescer(self._run, limit=1, concurrency=concurrency)

    async def submit(self, ask: Ask, answer: list[Header]) -> Answer:
        """The answer to one request; `answer` gets the `RateLimit-*` headers. Raises what it is refused with."""
        admitted = await (self._batches if ask.batch else self._singles).submit(ask)
        answer[:] = admitted.headers
        if isinstance(admitted.outcome, ClarionError):
            raise admitted.outcome
        return admitted.outcome

    async def _run(self, asks: list[Ask]) -> Sequence[Admitted]:
        began_s = self._clock.monotonic()
        tenants = {tenant_id: await self._tenant(tenant_id) for tenant_id in {ask.tenant_id for ask in asks}}
        now_ms = self._clock.now_ms()
        takes = [make_take(tenants[ask.tenant_id], "accept", max(1, len(ask.items)), now_ms) for ask in asks]
        verdicts = await self._throttle.charge_all(takes)
        refusals = [refusal_of(take, verdict) for take, verdict in zip(takes, verdicts, strict=True)]
        allowed = [ask for ask, refusal in zip(asks, refusals, strict=True) if refusal is None]
        charged = [take for take, refusal in zip(takes, refusals, strict=True) if refusal is None]
        answers = await self._accept(allowed, charged)
        self._count(answers)
        self._metrics.stage_seconds.labels("accept").observe(self._clock.monotonic() - began_s)
        rest = iter(answers)
        return [
            Admitted(next(rest) if refusal is None else refusal, rate_headers(take, verdict))
            for take, verdict, refusal in zip(takes, verdicts, refusals, strict=True)
        ]

    async def _accept(self, asks: list[Ask], takes: list[Take]) -> Sequence[Answer | ClarionError]:
        """The answers; what was charged to a day and not accepted is given back."""
        answers: Sequence[Answer | ClarionError] = ()
        if not asks:
            return answers
        try:
            answers = await accept(asks, self._ports)
        finally:
            places = list(_not_accepted(takes, answers))
            if places:
                await self._throttle.give_back(places)
        return answers

    async def _tenant(self, tenant_id: bytes) -> Tenant:
        return (await self._ports.configs.get(tenant_id)).tenant

    def _count(self, answers: Sequence[Answer | ClarionError]) -> None:
        accepted = 0
        rules: dict[tuple[str, ...], int] = {}
        for answer in answers:
            if isinstance(answer, Answer):
                accepted += answer.accepted
                for rule in answer.rules:
                    rules[rule,] = rules.get((rule,), 0) + 1
        self._metrics.accepts.inc(accepted)
        self._metrics.count(self._metrics.decisions, rules)


def _not_accepted(takes: Sequence[Take], answers: Sequence[Answer | ClarionError]) -> Iterable[GiveBack]:
    """Places of days that were taken for what was refused, or repeated. No answers: for everything."""
    for take, answer in zip_longest(takes, answers):
        accepted = answer.accepted if isinstance(answer, Answer) else 0
        if take.quota is not None and accepted < take.cost:
            yield GiveBack(take.tenant_id, take.quota.day, take.cost - accepted)


class Services(msgspec.Struct, frozen=True):
    """The gateway, and what stands between it and the routes."""

    gateway: Gateway
    authenticator: Authenticator
    throttle: Throttle
    acceptor: Acceptor
    idempotency: PostgresIdempotency
    cards: CardKeeper
    patience: Patience
    visits: Visits
    recipients: PostgresRecipients
    subscriptions: Subscriptions
    suppressions: SuppressionStore
    recorder: Recorder
    intake: Intake
    replays: ValkeyReplays
    fetcher: GuardedFetcher
    audit: AuditLog
    members: MemberStore
    journeys: JourneyParts
    migrations: GlobalMigrations
    entries: Entrance


def _authenticator(region: Region, fetcher: GuardedFetcher) -> Authenticator:
    published = PublishedKeys(fetcher, region.clock.monotonic)
    tokens = TokenVerifier(region.token_issuers, PostgresMembers(region.pools), published, region.clock)
    return Authenticator(region.keys, tokens, region.clock.monotonic)


def build_services(gateway: Gateway) -> Services:
    """The services of one application."""
    region = gateway.region
    fetcher = GuardedFetcher(read_networks(region.settings.egress_allow))
    journeys = build_journeys(region, gateway.global_pool)
    throttle = Throttle(gateway.limiter, gateway.local_limiter, region.clock)
    return Services(
        gateway=gateway,
        authenticator=_authenticator(region, fetcher),
        throttle=throttle,
        acceptor=Acceptor(gateway, throttle),
        idempotency=PostgresIdempotency(
            region.pools, region.vault, holders=max(1, region.settings.pool_size // 3)
        ),
        cards=CardKeeper(region.card_cache, region.users),
        patience=Patience(region.clock.monotonic),
        visits=Visits(region.receipts, region.metrics.visits_lost.inc),
        recipients=PostgresRecipients(region.pools),
        subscriptions=Subscriptions(region.seals, region.consents),
        suppressions=PostgresSuppressions(region.pools),
        recorder=Recorder(
            EventPorts(region.events, region.users, region.keyring, region.sealer, region.clock)
        ),
        intake=Intake(region.receipts),
        replays=ValkeyReplays(region.valkey),
        fetcher=fetcher,
        audit=PostgresAuditLog(region.pools),
        members=PostgresMembers(region.pools),
        journeys=journeys,
        migrations=GlobalMigrations(gateway.global_pool),
        entries=Entrance(trigger_ports(journeys, region, open_facts(region))),
    )
