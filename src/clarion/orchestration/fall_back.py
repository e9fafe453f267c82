"""Falling back: notifications whose time on one channel is over go on to the next.

    take what is due ─▶ judge ─▶ decide ─▶ write (one transaction) ─▶ queue

The delivery on the next channel has the id that follows from the notification's and the channel's, and the chain's
step is compared and moved in the transaction that writes it: it is made exactly once, whoever tries, and whoever dies.
What waits unsent on the channels before is cancelled with it, so that nobody is told twice.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol

import msgspec

from clarion.audience.model import Card
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.contracts.commands import FallbackStep
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.ports import Reservations
from clarion.intelligence.serving import EVERY_FEATURE, Forecasts, Subject, switched_off
from clarion.kernel.clock import Clock
from clarion.kernel.errors import NotFound, Transient
from clarion.orchestration.chains import ChainState, Leg, Look, Over, Take, judge
from clarion.orchestration.decide import decide
from clarion.orchestration.draft import cap_requests
from clarion.orchestration.limits import Limits
from clarion.orchestration.model import Candidate, Decision, Draft
from clarion.orchestration.ports import CardSource, ConfigSource
from clarion.orchestration.rows import record_decision
from clarion.tenancy.config import TenantConfig

_encode = msgspec.json.Encoder().encode


class Waiting(msgspec.Struct, frozen=True):
    """A chain with what its notification came to so far. Times are UTC ms of the store's clock.

    `rendered`: mask of the channels for which there is something to say. `legs`: its deliveries, at least one.
    """

    notification_id: bytes
    tenant_id: bytes
    created_ms: int
    steps: list[FallbackStep]
    step: int
    legs: list[Leg]
    external_id: str
    category: str
    priority: int
    rendered: int
    expires_ms: int
    is_test: bool


class HistoryEntry(msgspec.Struct, frozen=True):
    """What was done about a step, as the trace shows it. `at_ms` is UTC ms of the store's clock.

    `did`: `taken`, or `blocked` with the rules that did it. `cancelled`: channels on which it still waited unsent.
    """

    at_ms: int
    channel: str
    did: str
    rules: list[str] = []
    cancelled: list[str] = []


class NewLeg(msgspec.Struct, frozen=True):
    """The delivery on the next channel; all else is as in the delivery `model_id` of the same notification."""

    delivery_id: bytes
    model_id: bytes
    channel: str
    status: str
    decision: bytes
    send_ms: int
    score: float

    @property
    def open(self) -> bool:
        """Whether it waits to be sent."""
        return self.status != "blocked"


class Move(msgspec.Struct, frozen=True):
    """How a chain goes on: its next step, when to look at it again (0: it is over), and what that makes.

    `history` is a JSON list to append. `drops`: deliveries to cancel, as far as nobody has begun to send them.
    """

    chain: Waiting
    step: int
    due_ms: int
    state: ChainState = "waiting"
    history: bytes = b"[]"
    leg: NewLeg | None = None
    drops: tuple[bytes, ...] = ()


class Moved(msgspec.Struct, frozen=True):
    """What came of moves: work to queue, and work to forget."""

    made: list[WorkItem]
    dropped: list[WorkItem]


class FallbackStore(Protocol):
    """Chains in Postgres. Every method raises Transient."""

    async def take(self, limit: int, *, lease_ms: int) -> list[Waiting]:
        """Chains that are due, which nobody else is given for `lease_ms`."""
        ...

    async def move(self, moves: Sequence[Move], now_ms: int) -> Moved:
        """Commit moves in one transaction, with rows, promises and events. A chain that moved meanwhile stays so."""
        ...


class FallbackQueue(Protocol):
    """The queue as chains see it. Every method raises Transient."""

    async def enqueue(self, items: Sequence[WorkItem]) -> None:
        """Queue items now, or for their `due_ms`."""
        ...

    async def remove(self, items: Sequence[WorkItem]) -> None:
        """Take items out of the schedule, as far as they are there."""
        ...


class FallbackPorts(msgspec.Struct, frozen=True):
    """The outside, as falling back uses it."""

    store: FallbackStore
    queue: FallbackQueue
    cards: CardSource
    configs: ConfigSource
    allowances: Reservations
    forecasts: Forecasts
    clock: Clock


class _Step(msgspec.Struct, frozen=True):
    """A chain that goes on to a channel, and what that is decided on. `hidden`: as of a `Subject`."""

    chain: Waiting
    number: int
    candidate: Candidate
    hidden: int

    @property
    def channel(self) -> str:
        return self.chain.steps[self.number].channel


class Progress(msgspec.Struct, frozen=True):
    """How many chains were due, and the errors of those that could not be moved: they are due again after the lease."""

    chains: int
    errors: list[Exception] = []


async def fall_back(ports: FallbackPorts, limit: int, *, lease_ms: int) -> Progress:
    """Move up to `limit` due chains on. Raises Transient: then all of them are due again after the lease."""
    chains = await ports.store.take(limit, lease_ms=lease_ms)
    errors: list[Exception] = []
    portions = [chains] if chains else []
    while portions:
        portion = portions.pop()
        try:
            await _move_on(portion, ports)
        except Transient:
            raise
        except Exception as error:  # noqa: BLE001  one chain that we cannot handle must not hold up its neighbours
            middle = len(portion) // 2
            if middle:
                portions += [portion[:middle], portion[middle:]]
            else:
                errors.append(error)
    return Progress(len(chains), errors)


async def _move_on(chains: Sequence[Waiting], ports: FallbackPorts) -> None:
    now_ms = ports.clock.now_ms()
    moves: list[Move] = []
    takes: list[tuple[Waiting, int]] = []
    for chain in chains:
        match judge(chain.steps, chain.step, chain.legs, chain.expires_ms, now_ms):
            case Over(state=state):
                moves.append(Move(chain, chain.step, 0, state))
            case Look(due_ms=due_ms):
                moves.append(Move(chain, chain.step, due_ms))
            case Take(step=number):
                takes.append((chain, number))
    steps = await _prepare(takes, ports, moves)
    decisions = await _decide(steps, ports, now_ms) if steps else []
    moves += [_go_on(step, made, now_ms) for step, made in zip(steps, decisions, strict=True)]
    moved = await ports.store.move(moves, now_ms)
    with contextlib.suppress(Transient):
        # The rows are durable: the sweeper queues them, and a worker finds cancelled what the queue still holds.
        if moved.made:
            await ports.queue.enqueue(moved.made)
        if moved.dropped:
            await ports.queue.remove(moved.dropped)


async def _decide(steps: Sequence[_Step], ports: FallbackPorts, now_ms: int) -> list[Decision]:
    # One channel, and now: nothing is chosen, and nothing has to be known for it.
    subjects = [Subject(s.chain.tenant_id, s.candidate.card.user_id, s.hidden) for s in steps]
    predictor = await ports.forecasts.prepare(subjects)
    return decide([step.candidate for step in steps], predictor, Limits(), now_ms)


async def _prepare(
    takes: Sequence[tuple[Waiting, int]], ports: FallbackPorts, moves: list[Move]
) -> list[_Step]:
    """What each step is decided on. Chains of users and categories that are gone end: they are added to `moves`."""
    steps: list[_Step] = []
    for tenant_id in dict.fromkeys(chain.tenant_id for chain, _ in takes):
        mine = [(chain, number) for chain, number in takes if chain.tenant_id == tenant_id]
        try:
            config = await ports.configs.get(tenant_id)
        except NotFound:
            moves += [Move(chain, number, 0, "cancelled") for chain, number in mine]
            continue
        cards = await ports.cards.read(tenant_id, [chain.external_id for chain, _ in mine])
        for (chain, number), card in zip(mine, cards, strict=True):
            candidate = card and _candidate(chain, number, config, card)
            if candidate:
                steps.append(_Step(chain, number, candidate, EVERY_FEATURE | switched_off(config.tenant.ml)))
            else:
                moves.append(Move(chain, number, 0, "cancelled"))
    return await _with_caps_used(steps, ports)


def _candidate(chain: Waiting, number: int, config: TenantConfig, card: Card) -> Candidate | None:
    category = config.categories.get(chain.category)
    if category is None:
        return None
    draft = Draft(
        category=category,
        priority=chain.priority,
        requested=1 << CHANNEL_INDEX[chain.steps[number].channel],
        rendered=chain.rendered,
        selection="specified",
        send_time="now",
        expires_ms=chain.expires_ms,
        fallback_timezone=config.tenant.timezone,
        tenant_quiet_hours=config.tenant.quiet_hours,
        tenant_country=config.tenant.country,
        compliance=config.tenant.compliance,
    )
    return Candidate(draft, card)


async def _with_caps_used(steps: list[_Step], ports: FallbackPorts) -> list[_Step]:
    now_ms = ports.clock.now_ms()
    wanted = [
        cap_requests(step.candidate.draft, step.candidate.card, now_ms, is_test=step.chain.is_test)
        for step in steps
    ]
    if not any(wanted):
        return steps
    try:
        used = iter(await ports.allowances.used([request for mine in wanted for request in mine]))
    except Transient:
        # As in an accept: the binding check is the reservation at claim time.
        return steps
    counted: list[_Step] = []
    for step, mine in zip(steps, wanted, strict=True):
        counts = tuple(next(used) for _ in mine)
        draft = msgspec.structs.replace(
            step.candidate.draft, caps_used=counts or step.candidate.draft.caps_used
        )
        counted.append(msgspec.structs.replace(step, candidate=Candidate(draft, step.candidate.card)))
    return counted


def _go_on(step: _Step, decision: Decision, now_ms: int) -> Move:
    """The move that a step's decision comes to."""
    chain, channel = step.chain, step.channel
    choice = decision.choices[0] if decision.choices else None
    model = chain.legs[0]
    leg = NewLeg(
        delivery_id=delivery_id_for(chain.notification_id, CHANNEL_INDEX[channel]),
        model_id=model.delivery_id,
        channel=channel,
        status=choice.status if choice else "blocked",
        decision=record_decision(decision, step.candidate, now_ms),
        send_ms=(choice.due_ms if choice else 0) or now_ms,
        score=choice.score if choice else 0.0,
    )
    waits = [each for each in chain.legs if each.due_ms] if choice else []
    entry = HistoryEntry(
        at_ms=now_ms,
        channel=channel,
        did="taken" if choice else "blocked",
        rules=sorted({reason.rule for reason in decision.reasons if reason.channel == channel}),
        cancelled=[each.channel for each in waits],
    )
    following = step.number + 1
    is_last = following == len(chain.steps)
    # A blocked step is over as soon as it began: the one behind it is looked at next.
    next_ms = (
        (leg.send_ms + chain.steps[following].after_s * 1000 if choice else now_ms) if not is_last else 0
    )
    return Move(
        chain,
        following,
        next_ms,
        "exhausted" if is_last else "waiting",
        _encode([entry]),
        leg,
        tuple(each.delivery_id for each in waits),
    )
