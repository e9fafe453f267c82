"""The board of a region: where its workers leave what they saw of accounts, and read what all of them saw."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from clarion.delivery.circuit import CircuitKey, Report, Verdict
from clarion.delivery.figures import Tallies
from clarion.delivery.router import Router
from clarion.kernel.errors import Transient


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
