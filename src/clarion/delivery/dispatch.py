"""Dispatching: claimed work becomes messages at their providers, and outcomes in Postgres.

    load ─▶ triage ─▶ compose ─▶ reserve ─▶ route ─▶ ( consent ─▶ intent ─▶ call ─▶ outcome ) ─▶ ack

What stands in brackets happens per sub-batch, of what a provider takes at a time, so that consent is read at most one
call before the message leaves. The intent is committed before the call, and the outcome with its events after it: a
worker that dies in between leaves an attempt whose end nobody saw, and `triage` settles it. An intent compares and
moves the lease epoch, so that of two workers with the same delivery one sends, and a late outcome is refused.

The queue is only an index of work (`claimed.Claimed`): where it is away, what was begun goes on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.contracts.work import URGENT_PRIORITY, WorkItem
from clarion.delivery.circuit import CircuitKey, Circuits
from clarion.delivery.claimed import Claimed
from clarion.delivery.conclude import Attempt, Closing, conclusion_of, event_of, settle
from clarion.delivery.gates import Gates
from clarion.delivery.model import Job, Message, Outcome
from clarion.delivery.permission import (
    cap_requests,
    capped,
    consent_unreadable,
    quiet_until,
    refused,
)
from clarion.delivery.ports import (
    CapRequest,
    Composer,
    ConsentReader,
    DeliveryStore,
    Intent,
    Policies,
    ProviderPool,
    Reservations,
    Watcher,
    WorkSource,
)
from clarion.delivery.route import RouteTable, choose
from clarion.delivery.triage import close_early, held_elsewhere, is_early
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.environments import accounts_for

NO_PROVIDER_WAIT_MS: Final = 60_000
"""How long a delivery waits when its tenant has no provider for it: one may be configured before it expires."""

CONCLUDE_PATIENCE_S: Final = 300.0
"""How long an outcome is held while Postgres is away. After that the sweeper settles the attempt as an unseen one."""

CALL_SHARE: Final = 0.7
"""Of a lease: a call that hangs is given up before anybody else may take its deliveries, in time to record the rest."""

AGAIN_MS: Final = 1_000
"""How soon claimed work is offered again where a store was away before anything was sent."""

RELEASED: Final = frozenset({"failed", "expired", "blocked", "cancelled"})


class DispatchPorts(msgspec.Struct, frozen=True):
    """The outside, as dispatching uses it. `random` gives [0, 1); `pause` waits that many seconds.

    Once `stopping` says so no further portion is begun: the rest of what was claimed is given back.
    """

    store: DeliveryStore
    queue: WorkSource
    consents: ConsentReader
    allowances: Reservations
    composer: Composer
    policies: Policies
    providers: ProviderPool
    circuits: Circuits
    gates: Gates
    clock: Clock
    random: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    watcher: Watcher
    stopping: Callable[[], bool]
    lease_ms: int


class Report(msgspec.Struct):
    """What one dispatch came to, for metrics: counts by (provider kind, outcome) and by (channel, status).

    `fenced` counts outcomes that were refused because another worker had taken the delivery over.
    """

    attempts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter[tuple[str, str]])
    conclusions: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter[tuple[str, str]])
    fenced: int = 0
    closed: list[Closing] = []


class _Ready(msgspec.Struct, frozen=True):
    """A job that may go now, with its message and the allowances reserved for it."""

    job: Job
    config: TenantConfig
    message: Message
    caps: list[CapRequest]


class _Group(msgspec.Struct, frozen=True):
    """Jobs for one account. `probing`: its breaker was not closed when it let them through."""

    account: ProviderConfig
    ready: list[_Ready]
    probing: bool

    @property
    def key(self) -> CircuitKey:
        """The account's name in the world."""
        return (self.account.tenant_id, self.account.name)


async def dispatch(items: Sequence[WorkItem], ports: DispatchPorts) -> Report:
    """Take claimed items as far as they go now. Afterwards each is acked, or queued for later.

    Raises Transient where a store is away: what was not sent by then is offered again after AGAIN_MS.
    """
    report = Report()
    claimed = Claimed(items, ports.queue)
    try:
        await _dispatch(items, ports, claimed, report)
    except Transient:
        await claimed.give_back(ports.clock.now_ms() + AGAIN_MS)
        raise
    return report


async def _read_configs(jobs: Sequence[Job], policies: Policies) -> dict[bytes, TenantConfig]:
    """The settings of the jobs' tenants, no older than the store had them when the jobs were read."""
    versions: dict[bytes, int] = {}
    for job in jobs:
        tenant_id = job.item.tenant_id
        versions[tenant_id] = max(versions.get(tenant_id, 0), job.config_version)
    return {tenant_id: await policies.get(tenant_id, version) for tenant_id, version in versions.items()}


async def _dispatch(
    items: Sequence[WorkItem], ports: DispatchPorts, claimed: Claimed, report: Report
) -> None:
    jobs = await ports.store.load(items)
    configs = await _read_configs(jobs, ports.policies)
    ports.watcher.reached("loaded", len(jobs))
    now_ms = ports.clock.now_ms()
    early = [job.item for job in jobs if is_early(job, now_ms)]
    held = [job for job in jobs if held_elsewhere(job) and not is_early(job, now_ms)]
    live = [job for job in jobs if not is_early(job, now_ms) and not held_elsewhere(job)]
    opened = {job.item.delivery_id for job in jobs}
    await claimed.ack([item for item in items if item.delivery_id not in opened])
    # Whoever holds the others may be dead: then they are needed as soon as the lease ends.
    await claimed.postpone([*early, *(replace(job.item, due_ms=job.leased_until_ms) for job in held)])
    closings, open_jobs = _triage(live, configs, ports, now_ms)
    ready = await _prepare(open_jobs, configs, ports, closings)
    await _finish(closings, ports, claimed, report)
    await _send_all(ready, ports, claimed, report)


def _triage(
    jobs: Sequence[Job], configs: dict[bytes, TenantConfig], ports: DispatchPorts, now_ms: int
) -> tuple[list[Closing], list[Job]]:
    closings: list[Closing] = []
    going: list[Job] = []
    for job in jobs:
        config = configs[job.item.tenant_id]
        closing = close_early(job, config, idempotent=_deduplicates(job, config, ports), now_ms=now_ms)
        category = config.categories.get(job.category)
        if closing is None and category is not None:
            closing = quiet_until(job, category, config, now_ms)
        if closing is None:
            going.append(job)
        else:
            closings.append(closing)
    return closings, going


def _deduplicates(job: Job, config: TenantConfig, ports: DispatchPorts) -> bool:
    if job.state != "sending":
        return False
    accounts = accounts_for(config, is_test=job.is_test)
    used = next((account for account in accounts if account.name == job.provider), None)
    return used is not None and ports.providers.get(used).capabilities.idempotent


async def _prepare(
    jobs: Sequence[Job], configs: dict[bytes, TenantConfig], ports: DispatchPorts, closings: list[Closing]
) -> list[_Ready]:
    """Compose and reserve. Jobs that fail or must wait are added to `closings`."""
    if not jobs:
        return []
    ready: list[_Ready] = []
    composed = await ports.composer.compose(jobs, configs)
    for job, message in zip(jobs, composed, strict=True):
        if isinstance(message, Closing):
            closings.append(message)
            continue
        config = configs[job.item.tenant_id]
        category = config.categories.get(job.category)
        caps = cap_requests(job, category, config, ports.clock.now_ms()) if category else []
        ready.append(_Ready(job, config, message, caps))
    requests = [request for one in ready for request in one.caps]
    if not requests:
        return ready
    granted = iter(await ports.allowances.reserve(requests))
    allowed: list[_Ready] = []
    for one in ready:
        mine = [next(granted) for _ in one.caps]
        if all(mine):
            allowed.append(one)
        else:
            await ports.allowances.release(one.caps)
            closings.append(capped(one.job, one.config, ports.clock.now_ms()))
    return allowed


async def _send_all(ready: Sequence[_Ready], ports: DispatchPorts, claimed: Claimed, report: Report) -> None:
    """Route, and send at every provider at once. What has to wait for a provider is queued for that time."""
    if not ready:
        return
    groups: list[_Group] = []
    for is_test in (False, True):
        mine = [one for one in ready if one.job.is_test == is_test]
        if mine:
            routed, waiting = _route(mine, ports, is_test=is_test)
            groups += routed
            await claimed.postpone(waiting)
    ended = await asyncio.gather(
        *(_send_group(group, ports, claimed, report) for group in groups), return_exceptions=True
    )
    # Only now: no group is left alone in the middle of its sends because another one failed.
    for failure in filter(None, ended):
        raise failure


def _route(
    ready: Sequence[_Ready], ports: DispatchPorts, *, is_test: bool
) -> tuple[list[_Group], list[WorkItem]]:
    """Jobs of one environment by the account that sends them, and the items of those that wait for one."""
    now_ms = ports.clock.now_ms()
    configs = {one.config.tenant.tenant_id: one.config for one in ready}
    accounts = {
        (account.tenant_id, account.name): account
        for config in configs.values()
        for account in accounts_for(config, is_test=is_test)
    }
    closed = {key for key in accounts if ports.circuits.state_of(key).state == "closed"}
    waiting: list[WorkItem] = []
    groups: dict[CircuitKey, _Group] = {}
    assignments = choose(
        [one.job.item for one in ready],
        RouteTable(accounts.values()),
        ports.circuits,
        now_ms,
        retried={one.job.item.delivery_id for one in ready if one.job.attempts},
    )
    for one, assignment in zip(ready, assignments, strict=True):
        if assignment.provider:
            key = (one.job.item.tenant_id, assignment.provider)
            group = groups.setdefault(key, _Group(accounts[key], [], probing=key not in closed))
            group.ready.append(one)
        else:
            due_ms = assignment.wait_until_ms or now_ms + NO_PROVIDER_WAIT_MS
            waiting.append(replace(one.job.item, due_ms=due_ms))
    return list(groups.values()), waiting


async def _send_group(group: _Group, ports: DispatchPorts, claimed: Claimed, report: Report) -> None:
    """Send as many at a time as the account takes, until its breaker opens over it or we are to stop."""
    capabilities = ports.providers.get(group.account).capabilities
    size = capabilities.portion or capabilities.max_batch
    for start in range(0, len(group.ready), size):
        if ports.stopping() or not await _send_batch(
            group, slice(start, start + size), ports, claimed, report
        ):
            rest = [replace(one.job.item, due_ms=ports.clock.now_ms()) for one in group.ready[start:]]
            await claimed.postpone(rest)
            return


async def _send_batch(
    group: _Group, part: slice, ports: DispatchPorts, claimed: Claimed, report: Report
) -> bool:
    """Consent, intent, call, outcome: for what a provider takes at a time. False: its breaker opened before."""
    ready = group.ready[part]
    capabilities = ports.providers.get(group.account).capabilities
    urgent = any(one.job.item.priority <= URGENT_PRIORITY for one in ready)
    async with ports.gates.through(group.key, capabilities, urgent=urgent):
        if not group.probing and ports.circuits.state_of(group.key).state == "open":
            return False
        outcomes, closings = await _send(ready, group.account, ports)
    report.attempts.update((group.account.kind, outcome.kind) for outcome in outcomes)
    await _finish(closings, ports, claimed, report)
    ports.watcher.reached("recorded", len(closings))
    ours = {closing.job.item.delivery_id for closing in closings}
    await claimed.postpone(_after_a_lease([one.job for one in ready], ours, ports))
    await _release(ready, closings, ports)
    return True


def _after_a_lease(jobs: Sequence[Job], ours: set[bytes], ports: DispatchPorts) -> list[WorkItem]:
    """The items of jobs that are not `ours`, for when whoever took them over should have ended them."""
    due_ms = ports.clock.now_ms() + ports.lease_ms
    return [replace(job.item, due_ms=due_ms) for job in jobs if job.item.delivery_id not in ours]


async def _send(
    ready: Sequence[_Ready], account: ProviderConfig, ports: DispatchPorts
) -> tuple[list[Outcome], list[Closing]]:
    """Consent, intent, call. Gives the outcomes of those that were sent, and closings of all that are ours."""
    consents, closings, permitted = await _check_consent(ready, ports)
    epochs = await ports.store.begin(
        [Intent(one.job.item.delivery_id, one.job.lease_epoch, account.name) for one in permitted],
        lease_ms=ports.lease_ms,
    )
    begun = [one for one in permitted if one.job.item.delivery_id in epochs]
    ports.watcher.reached("intended", len(begun))
    started = ports.clock.monotonic()
    outcomes = await _call(begun, account, ports)
    took_ms = int((ports.clock.monotonic() - started) * 1000)
    ports.watcher.reached("answered", len(begun))
    now_ms = ports.clock.now_ms()
    ports.circuits.observe((account.tenant_id, account.name), outcomes, now_ms)
    idempotent = ports.providers.get(account).capabilities.idempotent
    for one, outcome in zip(begun, outcomes, strict=True):
        category = one.config.categories.get(one.job.category)
        attempt = Attempt(
            epoch=epochs[one.job.item.delivery_id],
            at_ms=now_ms,
            provider=account.name,
            took_ms=took_ms,
            consent_snapshot=_snapshot(consents.get(one.job.user_id)),
            park=not idempotent and (category is None or category.on_ambiguity == "park"),
            random=ports.random(),
            locale=one.message.locale,
        )
        closings.append(settle(one.job, outcome, attempt))
    return outcomes, closings


async def _check_consent(
    ready: Sequence[_Ready], ports: DispatchPorts
) -> tuple[dict[int, ConsentState], list[Closing], list[_Ready]]:
    """The users' word from Postgres, at most one call before the send. Where it cannot be read, only codes pass."""
    readable = True
    consents: dict[int, ConsentState] = {}
    try:
        consents = await ports.consents.consents([one.job.user_id for one in ready])
    except Transient:
        readable = False
    closings: list[Closing] = []
    permitted: list[_Ready] = []
    now_ms = ports.clock.now_ms()
    for one in ready:
        category = one.config.categories.get(one.job.category)
        closing = None
        if category is None or (not readable and category.class_ != "transactional"):
            closing = consent_unreadable(one.job, now_ms)
        elif readable:
            closing = refused(one.job, category, consents.get(one.job.user_id, NO_CONSENT), now_ms)
        if closing is None:
            permitted.append(one)
        else:
            closings.append(closing)
    return consents, closings, permitted


async def _call(begun: Sequence[_Ready], account: ProviderConfig, ports: DispatchPorts) -> list[Outcome]:
    if not begun:
        return []
    within_s = ports.lease_ms / 1000 * CALL_SHARE
    return await ports.providers.get(account).send([one.message for one in begun], within_s)


async def _finish(
    closings: Sequence[Closing], ports: DispatchPorts, claimed: Claimed, report: Report
) -> None:
    """Record closings with their events, then tell the queue. Outcomes outlast an outage of Postgres."""
    if not closings:
        return
    done = await _conclude(closings, ports)
    for closing in closings:
        if closing.job.item.delivery_id in done:
            report.conclusions[closing.job.item.channel, closing.status] += 1
        else:
            report.fenced += 1
    report.closed.extend(closings)
    again = [
        replace(closing.job.item, due_ms=closing.due_ms)
        for closing in closings
        if not closing.final and closing.job.item.delivery_id in done
    ]
    await claimed.postpone([*again, *_after_a_lease([closing.job for closing in closings], done, ports)])
    await claimed.ack(
        [closing.job.item for closing in closings if closing.final and closing.job.item.delivery_id in done]
    )


async def _conclude(closings: Sequence[Closing], ports: DispatchPorts) -> set[bytes]:
    conclusions = [conclusion_of(closing) for closing in closings]
    events = [event_of(closing) for closing in closings]
    give_up = ports.clock.monotonic() + CONCLUDE_PATIENCE_S
    while True:
        try:
            return await ports.store.conclude(conclusions, events)
        except Transient:
            if ports.clock.monotonic() > give_up:
                raise
            await ports.pause(0.25 + ports.random())


async def _release(ready: Sequence[_Ready], closings: Sequence[Closing], ports: DispatchPorts) -> None:
    unsent = {c.job.item.delivery_id for c in closings if c.status in RELEASED}
    caps = [request for one in ready if one.job.item.delivery_id in unsent for request in one.caps]
    if caps:
        with contextlib.suppress(Transient):
            # The message is settled. A place that cannot be given back now stays taken until its day ends.
            await ports.allowances.release(caps)


def _snapshot(consent: ConsentState | None) -> bytes:
    return msgspec.json.encode(consent) if consent is not None else b""
