"""Budgets and blocks of numbers in memory, for tests of what stands on them. One conformance suite binds both."""

from __future__ import annotations

from collections.abc import Sequence

from clarion.delivery.budgets import Account, BudgetState, Claim, Ledger
from clarion.kernel.errors import Transient


class InMemoryBudgets:
    """`delivery.budgets.BudgetStore`. While `is_away` it raises Transient."""

    def __init__(self) -> None:
        self.is_away = False
        self._spent: dict[Account, int] = {}
        self._held: dict[tuple[Account, bytes], int] = {}
        self._told: set[tuple[Account, int, BudgetState]] = set()

    async def hold(self, ledger: Ledger, claims: Sequence[Claim]) -> list[int] | None:
        """Hold claims or refuse them, in order."""
        self._reach()
        if any(account not in self._spent for account in ledger.accounts):
            return None
        return [self._hold(ledger, claim) for claim in claims]

    def _hold(self, ledger: Ledger, claim: Claim) -> int:
        for place in claim.stopping:
            account = ledger.accounts[place]
            others = self._spent[account] - self._held.get((account, claim.delivery_id), 0)
            if others + claim.micros > ledger.limits[place]:
                return place
        for place in claim.counted:
            account = ledger.accounts[place]
            held = self._held.get((account, claim.delivery_id), 0)
            self._spent[account] += claim.micros - held
            self._held[account, claim.delivery_id] = claim.micros
        return -1

    async def settle(self, ledger: Ledger, claims: Sequence[Claim]) -> None:
        """Replace what is held by what it cost."""
        self._reach()
        for claim in claims:
            for place in claim.counted:
                account = ledger.accounts[place]
                held = self._held.pop((account, claim.delivery_id), None)
                if held is not None:
                    self._spent[account] += claim.micros - held

    async def spent(self, accounts: Sequence[Account]) -> list[int | None]:
        """What is spent and held, in order."""
        self._reach()
        return [self._spent.get(account) for account in accounts]

    async def raise_to(self, accounts: Sequence[Account], micros: Sequence[int]) -> None:
        """Let no account stand below what was written down."""
        self._reach()
        for account, least in zip(accounts, micros, strict=True):
            self._spent[account] = max(self._spent.get(account, 0), least)

    async def first_to_alarm(self, account: Account, limit: int, state: BudgetState) -> bool:
        """Whether nobody has told this yet."""
        self._reach()
        alarm = (account, limit, state)
        is_first = alarm not in self._told
        self._told.add(alarm)
        return is_first

    def _reach(self) -> None:
        if self.is_away:
            raise Transient("the budgets are away")
