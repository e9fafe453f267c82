"""What is spent, as all processes of a region see it: budgets, today's costs, and floods of text messages.

`budget:{tenant}:<period>:<first day>:<channel>:<category>` is what was spent and is held, `…:held` the HASH of what is
held by delivery id; `cost_tracking:{tenant}:<day>` the HASH of a day's sums; `sms_blocks:{tenant}:…` counts by block.
Postgres has the sums for good (`cost_days`): what is lost here is raised again from there.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from clarion.adapters.valkey.client import (
    ScriptArgument,
    ValkeyClients,
    call_script,
    guarded,
    load_script,
)
from clarion.delivery.budgets import Account, BudgetState, Claim, Ledger
from clarion.delivery.costs import CostLine
from clarion.delivery.pumping import STOPPED_MS, Block, BlockCount, Stopped
from clarion.kernel.local_time import DAY_MS, HOUR_MS
from clarion.tenancy.spending import Period

TIMEOUT_S: Final = 1.0
"""A portion waits for it before it is sent."""

KEPT_MS: Final[dict[Period, int]] = {"day": 3 * DAY_MS, "month": 40 * DAY_MS}
"""How long an account is kept after it was touched last: longer than its period, in any time zone."""

COSTS_KEPT_MS: Final = 8 * DAY_MS
BLOCKS_KEPT_MS: Final = 2 * DAY_MS + HOUR_MS

_PER_SUM: Final = 6
"""Arguments of the script."""

_NEVER: Final = -1
"""As a floor: nothing is a flood."""


class ValkeyBudgets:
    """`delivery.budgets.BudgetStore` on Valkey. The keys of a tenant share a slot: one script call a portion."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._hold = load_script("budget_hold")
        self._settle = load_script("budget_settle")
        self._raise = load_script("raise_to")

    async def hold(self, ledger: Ledger, claims: Sequence[Claim]) -> list[int] | None:
        """Hold claims or refuse them, in order; None where an account is not known. Raises Transient."""
        if not claims:
            return []
        args: list[ScriptArgument] = [
            len(ledger.accounts),
            max(KEPT_MS[account.period] for account in ledger.accounts),
            *ledger.limits,
        ]
        for claim in claims:
            args += [claim.delivery_id, claim.micros, _places(claim.counted), _places(claim.stopping)]
        answers = await call_script(self._clients.write, self._hold, _keys(ledger), args, TIMEOUT_S)
        return answers or None

    async def settle(self, ledger: Ledger, claims: Sequence[Claim]) -> None:
        """Replace what is held by what it cost. Raises Transient; repeats change nothing."""
        args: list[ScriptArgument] = []
        for claim in claims:
            args += [claim.delivery_id, claim.micros, _places(claim.counted)]
        if args:
            await call_script(self._clients.write, self._settle, _keys(ledger), args, TIMEOUT_S)

    async def spent(self, accounts: Sequence[Account]) -> list[int | None]:
        """What is spent and held, in order. Raises Transient."""
        async with guarded(TIMEOUT_S):
            sums = await asyncio.gather(
                *(self._clients.read.execute_command("GET", _key(account)) for account in accounts)
            )
        return [None if value is None else int(value) for value in sums]

    async def raise_to(self, accounts: Sequence[Account], micros: Sequence[int]) -> None:
        """Let no account stand below what was written down. Raises Transient."""
        for account, least in zip(accounts, micros, strict=True):
            args: list[ScriptArgument] = [least, KEPT_MS[account.period]]
            await call_script(self._clients.write, self._raise, [_key(account)], args, TIMEOUT_S)

    async def first_to_alarm(self, account: Account, limit: int, state: BudgetState) -> bool:
        """Whether nobody has told this yet. Raises Transient."""
        key = b"%s:told:%d:%s" % (_key(account), limit, state.encode())
        async with guarded(TIMEOUT_S):
            told = await self._clients.write.execute_command(
                "SET", key, 1, "NX", "PX", KEPT_MS[account.period]
            )
        return told is not None


class ValkeyLiveCosts:
    """`delivery.costs.LiveCosts` on Valkey: `cost_tracking:{tenant}:<day>`, a HASH of sums.

    Fields are `provider|channel|category|country|live` (or `test`) and `|sent`, `|segments`, `|micros`, `|mean` or
    `|as_of` (µs).
    """

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._show = load_script("costs_show")

    async def show(self, lines: Sequence[CostLine]) -> None:
        """Show these sums where nothing newer is, one call a tenant and day. Raises Transient."""
        days: defaultdict[tuple[bytes, int], list[ScriptArgument]] = defaultdict(list)
        for line in lines:
            key = line.key
            environment = "test" if key.is_test else "live"
            name = f"{key.provider}|{key.channel}|{key.category}|{key.country}|{environment}"
            days[key.tenant_id, key.day] += [
                *(name, line.as_of_us),
                *(line.sent, line.segments, line.micros, line.mean_micros),
            ]
        for (tenant_id, day), sums in days.items():
            name = b"cost_tracking:{%s}:%d" % (_tag(tenant_id), day)
            args: list[ScriptArgument] = [COSTS_KEPT_MS, len(sums) // _PER_SUM, *sums]
            await call_script(self._clients.write, self._show, [name], args, TIMEOUT_S)


class ValkeyBlocks:
    """`delivery.pumping.BlockStore` on Valkey: counts by hour and UTC day, and the stopped blocks."""

    def __init__(self, clients: ValkeyClients) -> None:
        self._clients = clients
        self._tell = load_script("blocks_tell")

    async def tell(self, counts: Sequence[BlockCount], now_ms: int) -> list[Stopped]:
        """Add counts and stop floods, one call a tenant; all that is stopped. Raises Transient."""
        tenants: defaultdict[bytes, list[BlockCount]] = defaultdict(list)
        for count in counts:
            tenants[count.block.tenant_id].append(count)
        stopped: list[Stopped] = []
        for tenant_id, told in tenants.items():
            guard = told[0].guard
            args: list[ScriptArgument] = [
                *(now_ms, STOPPED_MS, BLOCKS_KEPT_MS),
                *(guard.floor if guard.enabled else _NEVER, guard.factor),
            ]
            for count in told:
                if count.sent:
                    args += [count.block.prefix, count.sent]
            keys = _block_keys(tenant_id, now_ms)
            answers = await call_script(self._clients.write, self._tell, keys, args, TIMEOUT_S)
            stopped += [
                Stopped(Block(tenant_id, prefix.decode()), int(until), is_new == 1)
                for prefix, until, is_new in zip(answers[::3], answers[1::3], answers[2::3], strict=True)
            ]
        return stopped


def _tag(tenant_id: bytes) -> bytes:
    return tenant_id.hex().encode()


def _key(account: Account) -> bytes:
    scope = f"{account.period}:{account.first_day}:{account.channel}:{account.category}"
    return b"budget:{%s}:%s" % (_tag(account.tenant_id), scope.encode())


def _keys(ledger: Ledger) -> list[str | bytes]:
    return [key for account in ledger.accounts for key in (_key(account), _key(account) + b":held")]


def _places(places: Sequence[int]) -> str:
    return ",".join(map(str, places))


def _block_keys(tenant_id: bytes, now_ms: int) -> list[str | bytes]:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    names = (f"{now:%Y%m%dT%H}", f"{now:%Y%m%d}", f"{now - timedelta(days=1):%Y%m%d}", "stopped")
    return [b"sms_blocks:{%s}:%s" % (_tag(tenant_id), name.encode()) for name in names]
