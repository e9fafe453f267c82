"""What a batch may spend: prices, budgets and the providers' quotas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from clarion.contracts.channels import CHANNELS
from clarion.kernel.local_time import IntArray

MoneyArray: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Prices, and what is left of budgets and quotas when the batch begins. `Limits()`: all is free and unlimited.

    Rows draw on accounts (a tenant, or a part of one): those of one account share its budget and its quotas, in the
    order of the batch. `cost` [B, C]: price of one message; `account` [B]: index of each row's account (None: all rows
    share the first); `budget` [A]: money left, in the unit of `cost`, inf where unlimited; `quota` [A, C]: messages
    that the account's providers of each channel still take, inf where unlimited.
    """

    cost: MoneyArray | None = None
    account: IntArray | None = None
    budget: MoneyArray | None = None
    quota: MoneyArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Accounts:
    """`Limits` with nothing left out."""

    cost: MoneyArray
    account: IntArray
    budget: MoneyArray
    quota: MoneyArray


def open_accounts(limits: Limits, rows: int) -> Accounts:
    """The accounts of a batch of `rows` rows."""
    account = np.zeros(rows, np.int64) if limits.account is None else limits.account
    budget, quota = limits.budget, limits.quota
    known = [len(left) for left in (budget, quota) if left is not None]
    count = max(known, default=int(account.max(initial=0)) + 1)
    return Accounts(
        cost=np.zeros((rows, len(CHANNELS))) if limits.cost is None else limits.cost,
        account=account,
        budget=np.full(count, np.inf) if budget is None else budget,
        quota=np.full((count, len(CHANNELS)), np.inf) if quota is None else quota,
    )
