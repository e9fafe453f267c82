"""The board of a region: where its workers leave what they saw of accounts, and read what all of them saw."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from clarion.delivery.circuit import CircuitKey, Report, Verdict
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import HALF_LIFE_MS, Tallies
from clarion.delivery.health import ProviderHealth
from clarion.delivery.router import Router
from clarion.kernel.errors import Transient

_PER_MINUTE: Final = 60_000 / HALF_LIFE_MS * math.log(2)
"""Of a steady stream, a fading count comes to this share of a minute's messages."""


class ProviderBoard(Protocol):
    """The shared state of accounts: breakers and figures. Both methods are one call for all accounts."""

    async def settle(self, reports: Mapping[CircuitKey, Report]) -> dict[CircuitKey, Verdict]:
        """Move the breakers by what one worker saw (`circuit.settle`), by the board's clock; a verdict for each.

        Raises Transient: then the reports may have been taken, or not.
        """
        ...

    async def add(
        self, tallies: Mapping[CircuitKey, Tallies], wanted: Collection[CircuitKey], now_ms: int
    ) -> dict[CircuitKey, Tallies]:
        """Add to the figures of accounts; those of all accounts `wanted`, as of `now_ms` on the caller's clock.

        Absent: of these nothing is known. Raises Transient: then it may have been added, or not.
        """
        ...


async def keep_in_step(board: ProviderBoard, router: Router, now_ms: int) -> None:
    """Tell the region what this process saw of its accounts, and take over what the region knows.

    Once a second, and at once where `circuits.pressing` is set. Raises Transient where the board is away: reports of
    breakers go with the next call, and this process goes on alone until then.
    """
    reports = router.circuits.reports(now_ms)
    fresh = router.figures.take(now_ms)
    try:
        router.circuits.learn(await board.settle(reports), now_ms)
    except Transient:
        router.circuits.untold(reports)
        raise
    # What is lost if this fails is a second of one worker's figures, of which it knows itself.
    router.figures.learn(
        await board.add(fresh, [*reports, *(key for key in fresh if key not in reports)], now_ms)
    )
    router.figures.keep(reports)


def describe(
    router: Router, region: str, now_ms: int, changed: Collection[CircuitKey] = ()
) -> list[ProviderHealth]:
    """How accounts do, as the other regions and people are told.

    Told is of those in use that sent something lately or that are not well, and of those whose breakers `changed`.
    """
    found = [_describe(router, key, region, now_ms) for key in {*router.circuits.in_use(), *changed}]
    return [
        one
        for one in found
        if one.attempts_per_min >= 1 or one.state != "closed" or (one.tenant_id, one.provider) in changed
    ]


def _describe(router: Router, key: CircuitKey, region: str, now_ms: int) -> ProviderHealth:
    circuit = router.circuits.state_of(key)
    found = router.figures.estimate(key, ANYWHERE, now_ms)
    return ProviderHealth(
        *key,
        region,
        circuit.state,
        circuit.reason,
        circuit.entered_ms,
        round(found.delivery_rate, 4),
        round(found.error_rate, 4),
        round(found.p99_ms, 1),
        round(found.weight * _PER_MINUTE, 1),
        now_ms,
    )
