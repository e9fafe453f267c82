"""One attempt at the deliveries of one account, portion by portion: consent, intent, call, outcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from clarion.compliance.model import NO_CONSENT, ConsentState
from clarion.compliance.rulebook import bundled_rulebook
from clarion.contracts.work import URGENT_PRIORITY
from clarion.delivery.conclude import Attempt, Closing, settle
from clarion.delivery.dead_devices import forget_dead
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.failover import has_untried, moves_on
from clarion.delivery.model import Outcome
from clarion.delivery.permission import consent_unreadable, refused
from clarion.delivery.ports import Intent
from clarion.delivery.push_call import call
from clarion.delivery.put_off import put_off
from clarion.delivery.record import after_a_lease, finish, release
from clarion.delivery.run import DispatchPorts, Group, Ready, Run
from clarion.delivery.till import Bill, priced_outcomes
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.environments import accounts_for

CALL_SHARE: Final = 0.7
"""Of a lease: a call that hangs is given up before anybody else may take its deliveries, in time to record the rest."""


async def send_group(group: Group, run: Run) -> None:
    """Send as many at a time as the account takes, until its breaker opens, its tokens end, or we are to stop."""
    ports = run.ports
    capabilities = ports.providers.get(group.account).capabilities
    size = capabilities.portion or capabilities.max_batch
    ready = group.ready
    if ports.pacing.is_paced(group.account, ports.clock.now_ms()):
        ready = sorted(ready, key=lambda one: one.job.item.priority)
    for start in range(0, len(ready), size):
        part = ready[start : start + size]
        grant = None
        if not ports.stopping():
            priorities = [one.job.item.priority for one in part]
            behind = len(ready) - start - len(part)
            grant = await ports.pacing.admit(group.account, priorities, behind, ports.clock.now_ms())
        going = part if grant is None else part[: grant.taken]
        if grant is not None and grant.wait_ms:
            await ports.pause(grant.wait_ms / 1000)
        if ports.stopping() or (going and not await _send_batch(group, going, run)):
            rest = [replace(one.job.item, due_ms=ports.clock.now_ms()) for one in ready[start:]]
            await run.claimed.postpone(rest)
            return
        if grant is not None and len(going) < len(part):
            await put_off(ready[start + len(going) :], group.account, grant, run)
            return


async def _send_batch(group: Group, ready: Sequence[Ready], run: Run) -> bool:
    """Consent, intent, call, outcome: for what a provider takes at a time. False: its breaker opened before."""
    capabilities = run.ports.providers.get(group.account).capabilities
    urgent = any(one.job.item.priority <= URGENT_PRIORITY for one in ready)
    async with run.ports.gates.through(group.key, capabilities, urgent=urgent):
        if not group.probing and run.ports.circuits.state_of(group.key).state == "open":
            return False
        bill = await run.ports.till.open(group.account, ready, run.ports.clock.now_ms())
        outcomes, closings = await _send(bill, run.ports)
    run.report.attempts.update((group.account.kind, outcome.kind) for outcome in outcomes)
    await finish(closings, run)
    run.ports.watcher.reached("recorded", len(closings))
    ours = {closing.job.item.delivery_id for closing in closings}
    await run.claimed.postpone(after_a_lease([one.job for one in ready], ours, run.ports))
    await release(ready, closings, run.ports)
    await forget_dead(ready, outcomes, run.ports)
    return True


async def _send(bill: Bill, ports: DispatchPorts) -> tuple[list[Outcome], list[Closing]]:
    """Consent, intent, call. Gives the outcomes of those that were sent, and closings of all that are ours."""
    account = bill.account
    if not bill.going:
        return [], bill.closings
    consents, closings, permitted = await _check_consent(bill.going, ports)
    closings += bill.closings
    epochs = await ports.store.begin(
        [Intent(one.job.item.delivery_id, one.job.lease_epoch, account.name) for one in permitted],
        lease_ms=ports.lease_ms,
    )
    begun = [one for one in permitted if one.job.item.delivery_id in epochs]
    ports.watcher.reached("intended", len(begun))
    started = ports.clock.monotonic()
    called = await call(begun, account, ports, ports.lease_ms / 1000 * CALL_SHARE)
    took_ms = int((ports.clock.monotonic() - started) * 1000)
    ports.watcher.reached("answered", len(begun))
    now_ms = ports.clock.now_ms()
    outcomes = priced_outcomes(called.outcomes, bill)
    await ports.till.close(bill, begun, outcomes, now_ms)
    await ports.pacing.observe(account, called.own, ports.providers.get(account).learned, now_ms)
    ports.circuits.observe((account.tenant_id, account.name), called.own, now_ms)
    _count(called.asked, called.own, account, took_ms, ports)
    capabilities = ports.providers.get(account).capabilities
    idempotent = capabilities.idempotent
    ruleset = bundled_rulebook().version
    for one, outcome in zip(begun, outcomes, strict=True):
        category = one.config.categories.get(one.job.category)
        moves = moves_on(outcome, one.job.item.priority, idempotent=idempotent)
        attempt = Attempt(
            epoch=epochs[one.job.item.delivery_id],
            at_ms=now_ms,
            provider=account.name,
            took_ms=took_ms,
            consent_snapshot=_snapshot(consents.get(one.job.user_id)),
            park=not idempotent and (category is None or category.on_ambiguity == "park"),
            random=ports.random(),
            locale=one.message.locale,
            moves_on=moves,
            fails_over=moves and _has_untried(one, account, ports),
            by_message_id=not capabilities.echoes_id,
            route=one.note,
            ruleset=ruleset,
        )
        closings.append(settle(one.job, outcome, attempt))
    return outcomes, closings


def _count(
    begun: Sequence[Ready],
    outcomes: Sequence[Outcome],
    account: ProviderConfig,
    took_ms: int,
    ports: DispatchPorts,
) -> None:
    """Add what a call came to to the live figures, by destination where it mattered."""
    if begun:
        is_known = any(one.destination for one in begun)
        destinations = [one.destination or ANYWHERE for one in begun] if is_known else ()
        ports.router.figures.observe((account.tenant_id, account.name), outcomes, destinations, took_ms)


def _has_untried(one: Ready, failed: ProviderConfig, ports: DispatchPorts) -> bool:
    return has_untried(one.job, failed, accounts_for(one.config, is_test=one.job.is_test), ports.circuits)


async def _check_consent(
    ready: Sequence[Ready], ports: DispatchPorts
) -> tuple[dict[int, ConsentState], list[Closing], list[Ready]]:
    """The users' word from Postgres, at most one call before the send. Where it cannot be read, only codes pass."""
    readable = True
    consents: dict[int, ConsentState] = {}
    try:
        consents = await ports.consents.consents([one.job.user_id for one in ready])
    except Transient:
        readable = False
    closings: list[Closing] = []
    permitted: list[Ready] = []
    now_ms = ports.clock.now_ms()
    for one in ready:
        category = one.config.categories.get(one.job.category)
        closing = None
        if category is None or (not readable and category.class_ != "transactional"):
            closing = consent_unreadable(one.job, now_ms)
        elif readable:
            consent = consents.get(one.job.user_id, NO_CONSENT)
            closing = refused(one.job, category, consent, one.config, now_ms)
        if closing is None:
            permitted.append(one)
        else:
            closings.append(closing)
    return consents, closings, permitted


def _snapshot(consent: ConsentState | None) -> bytes:
    return msgspec.json.encode(consent) if consent is not None else b""
