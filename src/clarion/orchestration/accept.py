"""Accepting: a batch of requests becomes decisions, durable rows and queued work.

    check ─▶ decide ─▶ commit (one transaction) ─▶ queue

201 means committed. The queue is told afterwards and may be away: the sweeper finds in Postgres what it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, cast

import msgspec

from clarion.contracts.events import NotificationEvent
from clarion.contracts.responses import BatchAccepted
from clarion.kernel.errors import ClarionError, Invalid, Permanent, Transient
from clarion.kernel.ids import created_ms, make_block, make_ids, split_ids
from clarion.orchestration.chunks import record_progress
from clarion.orchestration.data_check import Asking, hold_data
from clarion.orchestration.decide import decide
from clarion.orchestration.draft import Checked, cap_requests, check_request, with_caps_used
from clarion.orchestration.errors import ChunkOvertaken, KeyInUse, KeyMismatch
from clarion.orchestration.funds import Funds, NoFunds, Spender, limits_of
from clarion.orchestration.learning import (
    Learner,
    find_holdouts,
    find_lots,
    find_subjects,
    put_into_arms,
)
from clarion.orchestration.model import (
    AcceptGroup,
    Candidate,
    ChunkRef,
    Committed,
    GroupOutcome,
    IdempotencyClaim,
    KeyBusy,
    KeyReused,
    Overtaken,
    Repeated,
    Replayed,
    Row,
    Submission,
)
from clarion.orchestration.rows import Decided, build_answer, build_events, build_item, build_rows, build_work
from clarion.tenancy.model import TEST

if TYPE_CHECKING:
    from clarion.audience.model import Card
    from clarion.delivery.ports import Reservations
    from clarion.intelligence.serving import Forecasts
    from clarion.kernel.clock import Clock
    from clarion.orchestration.data_check import SchemaSource
    from clarion.orchestration.ports import AcceptStore, CardSource, ConfigSource, WorkSink
    from clarion.tenancy.config import TenantConfig

_encode: Final = msgspec.json.Encoder().encode
_REFUSALS: Final[dict[type, Callable[[], ClarionError]]] = {
    KeyBusy: KeyInUse,
    KeyReused: KeyMismatch,
    Overtaken: ChunkOvertaken,
}


class AcceptPorts(msgspec.Struct, frozen=True):
    """The outside, as accepting uses it."""

    store: AcceptStore
    cards: CardSource
    configs: ConfigSource
    queue: WorkSink
    allowances: Reservations
    forecasts: Forecasts
    clock: Clock
    schemas: SchemaSource
    funds: Funds = msgspec.field(default_factory=NoFunds)


class Ask(msgspec.Struct, frozen=True):
    """What one HTTP request asks: its items (already refused ones as errors) under at most one idempotency claim.

    `batch` says how to answer: one `NotificationAccepted`, or `BatchAccepted` with an entry an item. `chunk`: the
    items are this chunk of a broadcast, in full; such an ask is a batch, comes alone, and its answer has no body.
    """

    tenant_id: bytes
    environment: str
    items: list[Submission | ClarionError]
    claim: IdempotencyClaim | None = None
    batch: bool = False
    chunk: ChunkRef | None = None

    @property
    def ident(self) -> bytes:
        """The notification id that its only item asks for; b"": it may be any."""
        item = self.items[0] if self.items and not self.batch else None
        return item.ident if isinstance(item, Submission) else b""

    @property
    def is_test(self) -> bool:
        """Whether a test credential asks: what comes of it goes to sandboxes."""
        return self.environment == TEST


class Answer(msgspec.Struct, frozen=True):
    """The JSON body of the answer; `replayed`: it was given before, for the same key.

    `status`: how the notification of a single request stands, `blocked` where nothing will be sent ("": of a batch,
    or of one that is known by its key only).
    """

    body: bytes
    replayed: bool = False
    accepted: int = 0
    rules: tuple[str, ...] = ()
    status: str = ""


class _Plan(msgspec.Struct):
    """An ask on its way: per item what became of it, and the rows of those that were decided (by item index).

    `left`: micros of each of its tenant's budgets; empty where none is looked at.
    """

    ask: Ask
    results: list[Checked | Decided | ClarionError]
    config: TenantConfig
    left: Sequence[int] = ()
    rows: dict[int, list[Row]] = {}
    response: bytes = b""
    decided_ms: int = 0

    @property
    def live(self) -> bool:
        """Whether there is something to commit: a batch answers each item, a single request may fail as a whole."""
        return self.ask.batch or isinstance(self.results[0], Decided)

    @property
    def may_repeat(self) -> bool:
        """Whether it may be known to the store, by its key or id, although it fails by now."""
        return self.ask.claim is not None or bool(self.ask.ident)

    @property
    def error(self) -> ClarionError:
        """Why a single request was not accepted."""
        return cast("ClarionError", self.results[0])


async def accept(asks: Sequence[Ask], ports: AcceptPorts) -> list[Answer | ClarionError]:
    """Accept a batch of asks, of any tenants, in one pass over the stores.

    Gives one answer per ask, in order; an ask that is refused as a whole gives its error. Raises Transient where
    Postgres is away: then nothing was promised, and the same keys may be used again.
    """
    now_ms = ports.clock.now_ms()
    leaders, followers = _split_repeats(asks)
    plans = await _check_all([asks[i] for i in leaders], ports, now_ms)
    await _read_allowances(plans, ports, now_ms)
    await _read_funds(plans, ports, now_ms)
    await _decide(plans, ports, now_ms)
    answers: list[Answer | ClarionError | None] = [None] * len(asks)
    committed = await _commit(plans, ports)
    for i, answer in zip(leaders, committed, strict=True):
        answers[i] = answer
    for i, leader in followers:
        answers[i] = _follow(asks[i], asks[leader], answers[leader])
    return [answer for answer in answers if answer is not None]


async def foresee(ask: Ask, ports: AcceptPorts, at_ms: int) -> list[Decided | ClarionError]:
    """What would be decided of each item at an instant (UTC ms), in order. Writes nothing, and promises nothing."""
    plans = await _check_all([ask], ports, at_ms)
    await _read_allowances(plans, ports, at_ms)
    await _read_funds(plans, ports, at_ms)
    await _decide(plans, ports, at_ms)
    return cast("list[Decided | ClarionError]", plans[0].results)


def _split_repeats(asks: Sequence[Ask]) -> tuple[list[int], list[tuple[int, int]]]:
    """Indices of the asks to run, and of those that repeat a key or an id of another ask of this very batch."""
    first: dict[object, int] = {}
    leaders: list[int] = []
    followers: list[tuple[int, int]] = []
    for i, ask in enumerate(asks):
        name: object = ask.ident
        if ask.claim is not None:
            name = (ask.tenant_id, ask.environment, ask.claim.route, ask.claim.key)
        if name:
            leader = first.setdefault(name, i)
            if leader != i:
                followers.append((i, leader))
                continue
        leaders.append(i)
    return leaders, followers


def _follow(ask: Ask, leader: Ask, answer: Answer | ClarionError | None) -> Answer | ClarionError:
    if (
        ask.claim is not None
        and leader.claim is not None
        and ask.claim.fingerprint != leader.claim.fingerprint
    ):
        return KeyMismatch()
    if isinstance(answer, Answer):
        return msgspec.structs.replace(answer, replayed=True, accepted=0, rules=())
    return answer or KeyInUse()


async def _check_all(asks: Sequence[Ask], ports: AcceptPorts, now_ms: int) -> list[_Plan]:
    """A plan per ask, in order. Settings and cards are read once a tenant, all tenants at once."""
    users: dict[bytes, list[str]] = {}
    for ask in asks:
        named = users.setdefault(ask.tenant_id, [])
        named += [item.request.user_id for item in ask.items if isinstance(item, Submission)]
    configs = await asyncio.gather(*(ports.configs.get(tenant_id) for tenant_id in users))
    cards = await asyncio.gather(*(ports.cards.read(tenant_id, named) for tenant_id, named in users.items()))
    known = {
        tenant_id: (config, iter(found))
        for tenant_id, config, found in zip(users, configs, cards, strict=True)
    }
    plans = [_Plan(ask, _check(ask, *known[ask.tenant_id], now_ms), known[ask.tenant_id][0]) for ask in asks]
    await _hold_data(plans, ports)
    return plans


async def _hold_data(plans: Sequence[_Plan], ports: AcceptPorts) -> None:
    """Turn items whose data is not what their template asks for into errors."""
    asking = [
        (plan, i, Asking(plan.ask.tenant_id, checked))
        for plan in plans
        for i, checked in enumerate(plan.results)
        if isinstance(checked, Checked) and checked.template.has_schema
    ]
    if not asking:
        return
    found = await hold_data([each for _, _, each in asking], ports.schemas)
    for (plan, i, _), misfit in zip(asking, found, strict=True):
        if misfit is not None:
            plan.results[i] = misfit


def _check(
    ask: Ask, config: TenantConfig, cards: Iterator[Card | None], now_ms: int
) -> list[Checked | Decided | ClarionError]:
    """An ask's items, checked; takes as many cards as it has submissions."""
    results: list[Checked | Decided | ClarionError] = []
    for item in ask.items:
        if isinstance(item, ClarionError):
            results.append(item)
            continue
        try:
            results.append(check_request(item.request, config, next(cards), now_ms, item.template))
        except Invalid as error:
            results.append(error)
    return results


async def _read_allowances(plans: Sequence[_Plan], ports: AcceptPorts, now_ms: int) -> None:
    wanted = [
        (plan, i, requests)
        for plan in plans
        for i, checked in enumerate(plan.results)
        if isinstance(checked, Checked)
        and (requests := cap_requests(checked.draft, checked.card, now_ms, is_test=plan.ask.is_test))
    ]
    if not wanted:
        return
    try:
        used = await ports.allowances.used([r for _, _, requests in wanted for r in requests])
    except Transient:
        # The binding check is the reservation at claim time; without the counts the decision is only less informed.
        return
    position = 0
    for plan, i, requests in wanted:
        checked = plan.results[i]
        if isinstance(checked, Checked):
            plan.results[i] = with_caps_used(checked, used[position : position + len(requests)])
        position += len(requests)


async def _read_funds(plans: Sequence[_Plan], ports: AcceptPorts, now_ms: int) -> None:
    for plan in plans:
        if plan.config.spending.budgets and not plan.ask.is_test:
            plan.left = await ports.funds.left(plan.config, now_ms)


async def _decide(plans: Sequence[_Plan], ports: AcceptPorts, now_ms: int) -> None:
    places = [
        (plan, i, checked)
        for plan in plans
        for i, checked in enumerate(plan.results)
        if isinstance(checked, Checked)
    ]
    candidates = [Candidate(checked.draft, checked.card) for _, _, checked in places]
    spenders: list[Spender] = []
    if any(plan.left for plan in plans):
        spenders = [Spender(checked, plan.config, plan.left) for plan, _, checked in places]
    is_chunk = any(plan.ask.chunk is not None for plan in plans)
    made = split_ids((make_block if is_chunk else make_ids)(len(places), now_ms))
    idents = [plan.ask.ident or ident for (plan, _, _), ident in zip(places, made, strict=True)]
    learners = [
        Learner(plan.ask.tenant_id, plan.config.tenant.ml, plan.ask.is_test, checked.draft, checked.card)
        for plan, _, checked in places
    ]
    learners = put_into_arms(learners, [plan.config.tenant.experiment for plan, _, _ in places])
    holdouts = find_holdouts(learners)
    predictor = await ports.forecasts.prepare(find_subjects(learners, holdouts))
    lots = find_lots(learners, holdouts, idents)
    decisions = decide(candidates, predictor, limits_of(spenders, now_ms), now_ms, lots)
    for plan in plans:
        plan.decided_ms = now_ms
    for (plan, i, checked), decision, ident in zip(places, decisions, idents, strict=True):
        item = plan.ask.items[i]
        traceparent = item.traceparent if isinstance(item, Submission) else ""
        plan.results[i] = Decided(
            checked, decision, ident, plan.ask.tenant_id, traceparent, created_ms(ident), plan.ask.is_test
        )


async def _commit(plans: Sequence[_Plan], ports: AcceptPorts) -> list[Answer | ClarionError]:
    for plan in plans:
        plan.rows = {i: build_rows(d) for i, d in enumerate(plan.results) if isinstance(d, Decided)}
    # A request that fails now may repeat one that did not: its key is looked up all the same.
    asking = [plan for plan in plans if plan.live or plan.may_repeat]
    try:
        outcomes = await _write(asking, ports)
    except Permanent:
        await _drop_refused(asking, ports.store)
        asking = [plan for plan in asking if plan.live or plan.may_repeat]
        outcomes = await _write(asking, ports)
    await _enqueue(asking, outcomes, ports.queue)
    answers = {id(plan): _answer(plan, outcome) for plan, outcome in zip(asking, outcomes, strict=True)}
    return [answers.get(id(plan)) or plan.error for plan in plans]


async def _write(plans: Sequence[_Plan], ports: AcceptPorts) -> list[GroupOutcome]:
    if not plans:
        return []
    groups: list[AcceptGroup] = []
    events: list[NotificationEvent] = []
    for plan in plans:
        ask = plan.ask
        plan.response = _respond(plan) if plan.live and ask.chunk is None else b""
        rows = [row for rows in plan.rows.values() for row in rows]
        progress = ask.chunk and record_progress(ask.chunk, plan.results, plan.decided_ms)
        groups.append(
            AcceptGroup(ask.tenant_id, ask.environment, rows, ask.claim, plan.response, progress, ask.ident)
        )
        for i, item_rows in plan.rows.items():
            events.extend(build_events(item_rows, cast("Decided", plan.results[i])))
    return await ports.store.commit(groups, events)


async def _drop_refused(plans: Sequence[_Plan], store: AcceptStore) -> None:
    """Turn the items whose rows the store refuses into errors, so that their neighbours go on. Halves until alone."""
    suspects = [[(plan, i) for plan in plans for i in plan.rows]]
    while suspects:
        batch = suspects.pop()
        if not batch or await store.storable([row for plan, i in batch for row in plan.rows[i]]):
            continue
        if len(batch) == 1:
            plan, i = batch[0]
            plan.results[i] = Invalid("this request holds a value that cannot be stored")
            del plan.rows[i]
            continue
        middle = len(batch) // 2
        suspects += [batch[:middle], batch[middle:]]


async def _enqueue(plans: Sequence[_Plan], outcomes: Sequence[GroupOutcome], queue: WorkSink) -> None:
    work = [
        item
        for plan, outcome in zip(plans, outcomes, strict=True)
        if isinstance(outcome, Committed)
        for rows in plan.rows.values()
        for item in build_work(rows)
    ]
    if not work:
        return
    with contextlib.suppress(Transient):
        # The rows are durable: the sweeper queues them when Valkey is back.
        await queue.enqueue(work)


def _respond(plan: _Plan) -> bytes:
    results = cast("list[Decided | ClarionError]", plan.results)
    if plan.ask.batch:
        return _encode(BatchAccepted([build_item(i, result) for i, result in enumerate(results)]))
    return _encode(build_answer(cast("Decided", results[0])))


def _answer(plan: _Plan, outcome: GroupOutcome) -> Answer | ClarionError:
    match outcome:
        case Committed() if not plan.live:
            return plan.error
        case Committed():
            decided = [r for r in plan.results if isinstance(r, Decided)]
            rules = tuple(reason.rule for d in decided for reason in d.decision.reasons)
            status = "" if plan.ask.batch else decided[0].decision.status
            return Answer(plan.response, accepted=len(decided), rules=rules, status=status)
        case Repeated(status=status):
            return Answer(plan.response, replayed=True, status=status)
        case Replayed(body=body):
            return Answer(body, replayed=True)
        case KeyBusy() | KeyReused() | Overtaken():
            return _REFUSALS[type(outcome)]()
