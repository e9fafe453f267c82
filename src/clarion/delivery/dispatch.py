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
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from clarion.contracts.work import WorkItem
from clarion.delivery.attempt import send_group
from clarion.delivery.circuit import CircuitKey
from clarion.delivery.claimed import Claimed
from clarion.delivery.conclude import Closing
from clarion.delivery.destinations import ANYWHERE, destination_of
from clarion.delivery.model import Job
from clarion.delivery.permission import cap_requests, capped, quiet_until
from clarion.delivery.ports import Policies
from clarion.delivery.record import finish
from clarion.delivery.route import Ask, RouteTable, choose
from clarion.delivery.run import DispatchPorts, Group, Ready, Report, Run
from clarion.delivery.triage import close_early, held_elsewhere, is_early
from clarion.kernel.errors import Transient
from clarion.tenancy.config import TenantConfig
from clarion.tenancy.environments import accounts_for

NO_PROVIDER_WAIT_MS: Final = 60_000
"""How long a delivery waits when its tenant has no provider for it: one may be configured before it expires."""

AGAIN_MS: Final = 1_000
"""How soon claimed work is offered again where a store was away before anything was sent."""


async def dispatch(items: Sequence[WorkItem], ports: DispatchPorts) -> Report:
    """Take claimed items as far as they go now. Afterwards each is acked, or queued for later.

    Raises Transient where a store is away: what was not sent by then is offered again after AGAIN_MS.
    """
    run = Run(ports, Claimed(items, ports.queue), Report())
    try:
        await _dispatch(items, run)
    except Transient:
        await run.claimed.give_back(ports.clock.now_ms() + AGAIN_MS)
        raise
    return run.report


async def _read_configs(jobs: Sequence[Job], policies: Policies) -> dict[bytes, TenantConfig]:
    """The settings of the jobs' tenants, no older than the store had them when the jobs were read."""
    versions: dict[bytes, int] = {}
    for job in jobs:
        tenant_id = job.item.tenant_id
        versions[tenant_id] = max(versions.get(tenant_id, 0), job.config_version)
    return {tenant_id: await policies.get(tenant_id, version) for tenant_id, version in versions.items()}


async def _dispatch(items: Sequence[WorkItem], run: Run) -> None:
    ports, claimed = run.ports, run.claimed
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
    await finish(closings, run)
    await _send_all(ready, run)


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
) -> list[Ready]:
    """Compose and reserve. Jobs that fail or must wait are added to `closings`."""
    if not jobs:
        return []
    ready: list[Ready] = []
    composed = await ports.composer.compose(jobs, configs)
    for job, message in zip(jobs, composed, strict=True):
        if isinstance(message, Closing):
            closings.append(message)
            continue
        config = configs[job.item.tenant_id]
        category = config.categories.get(job.category)
        caps = cap_requests(job, category, config, ports.clock.now_ms()) if category else []
        ready.append(Ready(job, config, message, caps))
    requests = [request for one in ready for request in one.caps]
    if not requests:
        return ready
    granted = iter(await ports.allowances.reserve(requests))
    allowed: list[Ready] = []
    for one in ready:
        mine = [next(granted) for _ in one.caps]
        if all(mine):
            allowed.append(one)
        else:
            await ports.allowances.release(one.caps)
            closings.append(capped(one.job, one.config, one.caps[mine.index(False)], ports.clock.now_ms()))
    return allowed


async def _send_all(ready: Sequence[Ready], run: Run) -> None:
    """Route, and send at every provider at once. What has to wait for a provider is queued for that time."""
    if not ready:
        return
    groups: list[Group] = []
    for is_test in (False, True):
        mine = [one for one in ready if one.job.is_test == is_test]
        if mine:
            routed, waiting = _route(mine, run.ports, is_test=is_test)
            groups += routed
            await run.claimed.postpone(waiting)
    ended = await asyncio.gather(*(send_group(group, run) for group in groups), return_exceptions=True)
    # Only now: no group is left alone in the middle of its sends because another one failed.
    for failure in filter(None, ended):
        raise failure


def _route(
    ready: Sequence[Ready], ports: DispatchPorts, *, is_test: bool
) -> tuple[list[Group], list[WorkItem]]:
    """Jobs of one environment by the account that sends them, and the items of those that wait for one."""
    now_ms = ports.clock.now_ms()
    waiting: list[WorkItem] = []
    groups: dict[CircuitKey, Group] = {}
    tenants: dict[bytes, list[Ready]] = {}
    for one in ready:
        tenants.setdefault(one.job.item.tenant_id, []).append(one)
    for tenant_id, mine in tenants.items():
        table = ports.router.table(mine[0].config, now_ms, is_test=is_test)
        not_closed = ports.circuits.not_closed()
        asks = [_ask(one, table) for one in mine]
        for one, ask, found in zip(mine, asks, choose(asks, table, ports.circuits, now_ms), strict=True):
            if found.provider:
                key = (tenant_id, found.provider)
                if key not in groups:
                    groups[key] = Group(table.account(found.provider), [], probing=key in not_closed)
                noted = replace(one, destination=ask.destination, note=found.note) if found.note else one
                groups[key].ready.append(noted)
            else:
                due_ms = found.wait_until_ms or now_ms + NO_PROVIDER_WAIT_MS
                waiting.append(replace(one.job.item, due_ms=due_ms))
    return list(groups.values()), waiting


def _ask(one: Ready, table: RouteTable) -> Ask:
    job = one.job
    destination = destination_of(one.message) if table.has_choice(job.item.channel) else ANYWHERE
    return Ask(job.item, destination, job.category, job.tried if job.attempts else None)
