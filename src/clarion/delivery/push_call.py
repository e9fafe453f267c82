"""Calling for a push whose devices are served by several accounts: Apple's tokens by one, Firebase's by another.

A delivery is routed to one account, its own. The user's other devices are reached beside it, each service through the
first account of the tenant that serves it and whose breaker is not open; what they came to is one outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from clarion.delivery.model import Message, Outcome
from clarion.delivery.push import merge_outcomes, served
from clarion.delivery.run import DispatchPorts, Ready
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.environments import accounts_for


class Called(msgspec.Struct, frozen=True):
    """What a call came to: an outcome a message, in order, and those that speak of the account's own service.

    `own` has as many, in the same order, unless other accounts took all of a message's devices.
    """

    outcomes: list[Outcome]
    own: list[Outcome]
    asked: Sequence[Ready]


class _Share(msgspec.Struct, frozen=True):
    """What one account sends: messages with its own devices alone, and which of the batch they are."""

    account: ProviderConfig
    places: list[int]
    messages: list[Message]


async def call(
    begun: Sequence[Ready], account: ProviderConfig, ports: DispatchPorts, within_s: float
) -> Called:
    """Send begun deliveries through their account, pushes to all of their users' devices."""
    shares = _shares(begun, account, ports) if account.channel == "push" else []
    if not shares:
        outcomes = await _send(account, [one.message for one in begun], ports, within_s)
        return Called(outcomes, outcomes, begun)
    sent = await asyncio.gather(
        *(
            _send(account, share.messages, ports, within_s)
            if share.account.name == account.name
            else _help(share, ports, within_s)
            for share in shares
        )
    )
    collected: list[list[Outcome]] = [[] for _ in begun]
    own = Called([], [], ())
    for share, outcomes in zip(shares, sent, strict=True):
        for place, outcome in zip(share.places, outcomes, strict=True):
            collected[place].append(outcome)
        if share.account.name == account.name:
            own = Called([], outcomes, [begun[place] for place in share.places])
    return Called([merge_outcomes(outcomes) for outcomes in collected], own.own, own.asked)


async def _help(share: _Share, ports: DispatchPorts, within_s: float) -> list[Outcome]:
    """What an account beside the delivery's own came to; its breaker, pace and figures hear of it here."""
    started = ports.clock.monotonic()
    outcomes = await _send(share.account, share.messages, ports, within_s)
    took_ms = (ports.clock.monotonic() - started) * 1000
    key, now_ms = (share.account.tenant_id, share.account.name), ports.clock.now_ms()
    ports.circuits.observe(key, outcomes, now_ms)
    ports.router.figures.observe(key, outcomes, (), took_ms)
    await ports.pacing.observe(share.account, outcomes, ports.providers.get(share.account).learned, now_ms)
    return outcomes


def _shares(begun: Sequence[Ready], account: ProviderConfig, ports: DispatchPorts) -> list[_Share]:
    """Who sends what, where the account alone does not serve every device; empty where it does, or nobody else can."""
    services = ports.providers.get(account).capabilities.services
    if not services or all(
        len(served(one.message.devices, services)) == len(one.message.devices) for one in begun
    ):
        return []
    helpers = _helpers(begun[0], account, ports)
    if not helpers:
        return []
    shares = [_Share(candidate, [], []) for candidate in (account, *helpers)]
    taken = [_take(one, place, shares, ports) for place, one in enumerate(begun)]
    for place, one in enumerate(begun):
        if not taken[place]:  # nobody serves any of them: the account says so
            shares[0].places.append(place)
            shares[0].messages.append(one.message)
    return [share for share in shares if share.messages]


def _take(one: Ready, place: int, shares: Sequence[_Share], ports: DispatchPorts) -> bool:
    """Give each device of a message to the first account that serves it, tried ones last. False: none does."""
    message, tried = one.message, one.job.tried
    left = list(message.devices)
    for share in sorted(shares, key=lambda share: share.account.name in tried):
        services = ports.providers.get(share.account).capabilities.services
        mine = served(left, services)
        if mine:
            left = [device for device in left if device not in mine]
            share.places.append(place)
            share.messages.append(replace(message, devices=mine))
    return len(left) < len(message.devices)


def _helpers(one: Ready, account: ProviderConfig, ports: DispatchPorts) -> list[ProviderConfig]:
    """The tenant's other accounts for push that can be used now."""
    return [
        other
        for other in accounts_for(one.config, is_test=one.job.is_test)
        if other.channel == "push"
        and other.enabled
        and other.name != account.name
        and ports.circuits.state_of((other.tenant_id, other.name)).state != "open"
    ]


async def _send(
    account: ProviderConfig, messages: Sequence[Message], ports: DispatchPorts, within_s: float
) -> list[Outcome]:
    """An outcome a message. More than the account takes at a time are sent one batch after the other."""
    if not messages:
        return []
    provider = ports.providers.get(account)
    size = provider.capabilities.max_batch
    outcomes: list[Outcome] = []
    give_up = ports.clock.monotonic() + within_s
    for start in range(0, len(messages), size):
        left_s = max(0.0, give_up - ports.clock.monotonic())
        outcomes += await provider.send(messages[start : start + size], left_s)
    return outcomes
