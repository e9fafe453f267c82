"""Dispatching: claimed work becomes messages at their providers, and outcomes in Postgres.

    load ─▶ triage ─▶ compose ─▶ reserve ─▶ route ─▶ ( consent ─▶ intent ─▶ call ─▶ outcome ) ─▶ ack

What stands in brackets happens per sub-batch, of what a provider takes at a time, so that consent is read at most one
call before the message leaves. The intent is committed before the call, and the outcome with its events after it: a
worker that dies in between leaves an attempt whose end nobody saw, and `triage` settles it. An intent compares and
moves the lease epoch, so that of two workers with the same delivery one sends, and a late outcome is refused.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.contracts.work import WorkItem
from clarion.delivery.circuit import Circuits
from clarion.delivery.conclude import Attempt, Closing, conclusion_of, event_of, settle
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

NO_PROVIDER_WAIT_MS: Final = 60_000
"""How long a delivery waits when its tenant has no provider for it: one may be configured before it expires."""

CONCLUDE_PATIENCE_S: Final = 300.0
"""How long an outcome is held while Postgres is away. After that the sweeper settles the attempt as an unseen one."""

RELEASED: Final = frozenset({"failed", "expired", "blocked", "cancelled"})


class DispatchPorts(msgspec.Struct, frozen=True):
    """The outside, as dispatching uses it. `random` gives [0, 1); `pause` waits that many seconds."""

    store: DeliveryStore
    queue: WorkSource
    consents: ConsentReader
    allowances: Reservations
    composer: Composer
    policies: Policies
    providers: ProviderPool
    circuits: Circuits
    clock: Clock
    random: Callable[[], float]
    pause: Callable[[float], Awaitable[None]]
    watcher: Watcher
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


async def dispatch(items: Sequence[WorkItem], ports: DispatchPorts) -> Report:
    """Take claimed items as far as they go now. Afterwards each is acked, or queued for later.

    Raises Transient where a store is away before anything was sent: the leases then end, and the items come back.
    """
    report = Report()
    jobs = await ports.store.load(items)
    configs = {tenant: await ports.policies.get(tenant) for tenant in {job.item.tenant_id for job in jobs}}
    ports.watcher.reached("loaded", len(jobs))
    now_ms = ports.clock.now_ms()
    early = [job.item for job in jobs if is_early(job, now_ms)]
    live = [job for job in jobs if not is_early(job, now_ms) and not held_elsewhere(job)]
    closings, open_jobs = _triage(live, configs, ports, now_ms)
    ready = await _prepare(open_jobs, configs, ports, closings)
    await _finish(closings, ports, report)
    waiting = await _send_all(ready, ports, report)
    await ports.queue.postpone([*early, *waiting])
    settled = {job.item.delivery_id for job in live} | {item.delivery_id for item in early}
    await ports.queue.ack([item for item in items if item.delivery_id not in settled])
    return report


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
    used = next((p for p in config.providers if p.name == job.provider), None)
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


async def _send_all(ready: Sequence[_Ready], ports: DispatchPorts, report: Report) -> list[WorkItem]:
    """Route, and send at every provider at once. Gives the items that wait for a provider."""
    if not ready:
        return []
    now_ms = ports.clock.now_ms()
    configs = {one.config.tenant.tenant_id: one.config for one in ready}
    accounts = {(c.tenant_id, c.name): c for config in configs.values() for c in config.providers}
    table = RouteTable(accounts.values())
    waiting: list[WorkItem] = []
    groups: dict[tuple[bytes, str], list[_Ready]] = {}
    assignments = choose([one.job.item for one in ready], table, ports.circuits, now_ms)
    for one, assignment in zip(ready, assignments, strict=True):
        if assignment.provider:
            groups.setdefault((one.job.item.tenant_id, assignment.provider), []).append(one)
        else:
            due_ms = assignment.wait_until_ms or now_ms + NO_PROVIDER_WAIT_MS
            waiting.append(msgspec.structs.replace(one.job.item, due_ms=due_ms))
    await asyncio.gather(
        *(_send_group(group, accounts[account], ports, report) for account, group in groups.items())
    )
    return waiting


async def _send_group(
    ready: Sequence[_Ready], account: ProviderConfig, ports: DispatchPorts, report: Report
) -> None:
    capabilities = ports.providers.get(account).capabilities
    size = capabilities.portion or capabilities.max_batch
    for start in range(0, len(ready), size):
        await _send_batch(ready[start : start + size], account, ports, report)


async def _send_batch(
    ready: Sequence[_Ready], account: ProviderConfig, ports: DispatchPorts, report: Report
) -> None:
    """Consent, intent, call, outcome: for what a provider takes at a time."""
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
    for one, outcome in zip(begun, outcomes, strict=True):
        report.attempts[account.kind, outcome.kind] += 1
        category = one.config.categories.get(one.job.category)
        idempotent = ports.providers.get(account).capabilities.idempotent
        attempt = Attempt(
            epoch=epochs[one.job.item.delivery_id],
            at_ms=now_ms,
            provider=account.name,
            took_ms=took_ms,
            consent_snapshot=_snapshot(consents.get(one.job.user_id)),
            park=not idempotent and (category is None or category.on_ambiguity == "park"),
            random=ports.random(),
        )
        closings.append(settle(one.job, outcome, attempt))
    await _finish(closings, ports, report)
    ports.watcher.reached("recorded", len(closings))
    await _release(ready, closings, ports)


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
    # Shorter than the lease: a call that hangs is given up before anybody else may take its deliveries.
    deadline_s = ports.lease_ms / 1000 * 0.8
    try:
        async with asyncio.timeout(deadline_s):
            return await ports.providers.get(account).send([one.message for one in begun])
    except TimeoutError:
        return [
            Outcome(
                one.job.item.delivery_id, "ambiguous", code="deadline", detail="the provider did not answer"
            )
            for one in begun
        ]


async def _finish(closings: Sequence[Closing], ports: DispatchPorts, report: Report) -> None:
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
        msgspec.structs.replace(closing.job.item, due_ms=closing.due_ms)
        for closing in closings
        if not closing.final
    ]
    await ports.queue.postpone(again)
    await ports.queue.ack([closing.job.item for closing in closings if closing.final])


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
        await ports.allowances.release(caps)


def _snapshot(consent: ConsentState | None) -> bytes:
    return msgspec.json.encode(consent) if consent is not None else b""
