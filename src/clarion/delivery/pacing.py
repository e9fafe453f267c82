"""Pacing: how many of a portion may go to an account now, and when the rest may come. All workers share the tokens.

Only accounts with a quota are asked about, and those whose vendor throttled lately or named a limit: one call a
portion. What gets no token waits without counting an attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Protocol, cast

import msgspec

from clarion.contracts.work import URGENT_PRIORITY
from clarion.delivery.circuit import ADDRESSEE_CODE, CircuitKey
from clarion.delivery.model import Outcome, RateLimits
from clarion.delivery.pace import Ask, DayLeft, DayLimit, Grant, Pace, Slowing, slow, take
from clarion.kernel.errors import Transient
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.spending import Ramp

WATCHED_MS: Final = 3_600_000
"""How long after its vendor throttled last an account without a quota is asked about."""

LONGEST_CLOSED_S: Final = 86_400.0
"""The longest pause that vendors ask for is that of a daily quota."""

WINDOW_MS: Final = 1_000
"""Over which it is counted what gets through."""

_ALL_LEFT: Final = DayLeft(1 << 40, 0.0)


class PaceStore(Protocol):
    """The paces of accounts, which all processes share, by the store's clock."""

    async def take(self, ask: Ask, now_ms: int) -> Grant:
        """Tokens for a portion (`pace.take`); days end by `now_ms`. Raises Transient."""
        ...

    async def slow(self, slowing: Slowing) -> None:
        """Slow a pace (`pace.slow`). Raises Transient."""
        ...


class LocalPaces:
    """`PaceStore` of one process: for while the shared one is away. `take_at` and `slow_at` are told the time."""

    def __init__(self) -> None:
        self._paces: dict[CircuitKey, Pace] = {}
        self._days: dict[tuple[bytes, str, int], int] = {}

    def take_at(self, ask: Ask, now_ms: int) -> Grant:
        """Tokens for a portion at an instant."""
        counters = [(ask.key[0], day.name, day.day) for day in ask.days]
        left = min(
            (
                DayLeft(max(0, day.limit - self._days.get(counter, 0)), day.ends_ms - now_ms)
                for day, counter in zip(ask.days, counters, strict=True)
            ),
            key=lambda one: one.left,
            default=_ALL_LEFT,
        )
        self._paces[ask.key], grant = take(self._paces.get(ask.key, Pace()), ask, left, now_ms)
        for counter in counters:
            self._days[counter] = self._days.get(counter, 0) + grant.taken
        return grant

    def slow_at(self, slowing: Slowing, now_ms: int) -> None:
        """Slow a pace at an instant."""
        self._paces[slowing.key] = slow(self._paces.get(slowing.key, Pace()), slowing, now_ms)


class _Flow(msgspec.Struct):
    """What got through an account: in the present window, and a second in the last one."""

    since_ms: int = 0
    count: int = 0
    per_s: float = 0.0


class Pacing:
    """The pacing of one process. Without a store each process keeps its own paces."""

    def __init__(self, store: PaceStore | None = None) -> None:
        self._store = store
        self._local = LocalPaces()
        self._watched: dict[CircuitKey, int] = {}
        self._told: dict[CircuitKey, RateLimits] = {}
        self._flows: dict[CircuitKey, _Flow] = {}
        self._full: dict[CircuitKey, int] = {}

    def full_until(self, key: CircuitKey) -> int:
        """Until when (UTC ms) the account had no token left, as this process was told last; 0: it had."""
        return self._full.get(key, 0)

    def is_paced(self, account: ProviderConfig, now_ms: int) -> bool:
        """Whether the account's tokens are counted."""
        if account.quota.is_set:
            return True
        return bool(self._watched) and self._watched.get((account.tenant_id, account.name), 0) > now_ms

    async def admit(
        self, account: ProviderConfig, priorities: Sequence[int], behind: int, now_ms: int
    ) -> Grant | None:
        """Tokens for messages of these priorities, the urgent first; None: the account is not paced."""
        if not self.is_paced(account, now_ms):
            return None
        ask = Ask(
            key=(account.tenant_id, account.name),
            count=len(priorities),
            urgent=sum(priority <= URGENT_PRIORITY for priority in priorities),
            behind=behind,
            per_s=account.quota.per_s or 0.0,
            days=day_limits(account, now_ms),
        )
        grant = await self._take(ask, now_ms)
        self._full[ask.key] = 0 if grant.taken == ask.count else now_ms + int(grant.next_ms)
        return grant

    async def observe(
        self, account: ProviderConfig, outcomes: Sequence[Outcome], learned: RateLimits | None, now_ms: int
    ) -> None:
        """Learn from what an account's vendor answered, and from what it said of its limits."""
        key = (account.tenant_id, account.name)
        throttled = [
            one for one in outcomes if one.kind == "throttled" and not one.code.startswith(ADDRESSEE_CODE)
        ]
        sent = sum(one.kind == "sent" for one in outcomes)
        flow = self._flows.setdefault(key, _Flow(now_ms))
        if now_ms - flow.since_ms >= WINDOW_MS:
            flow.per_s = 1000 * flow.count / (now_ms - flow.since_ms)
            flow.since_ms, flow.count = now_ms, 0
        flow.count += sent
        is_news = learned is not None and _is_news(learned, self._told.get(key))
        if not throttled and not is_news:
            return
        slowing = Slowing(
            key, sent, len(throttled), max(flow.per_s, flow.count), _closed_ms(throttled, learned)
        )
        if learned is not None and is_news:
            self._told[key] = learned
            slowing = msgspec.structs.replace(slowing, told_per_s=learned.per_s or 0.0)
        self._watched[key] = now_ms + WATCHED_MS
        await self._slow(slowing, now_ms)

    async def _take(self, ask: Ask, now_ms: int) -> Grant:
        if self._store is not None:
            try:
                return await self._store.take(ask, now_ms)
            except Transient:
                # Each process then grants the whole rate by itself: too much rather than nothing.
                pass
        return self._local.take_at(ask, now_ms)

    async def _slow(self, slowing: Slowing, now_ms: int) -> None:
        self._local.slow_at(slowing, now_ms)
        if self._store is not None:
            try:
                await self._store.slow(slowing)
            except Transient:
                return


def day_limits(account: ProviderConfig, now_ms: int) -> tuple[DayLimit, ...]:
    """The account's daily limits on the present UTC day: its own, and the ramp of the domain that it sends from."""
    quota = account.quota
    if quota.per_day is None and quota.ramp is None:
        return ()
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    day = today.year * 10_000 + today.month * 100 + today.day
    ends_ms = int(datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp() * 1000) + 86_400_000
    limits: list[DayLimit] = []
    if quota.per_day is not None:
        limits.append(DayLimit(f"account:{account.name}", day, quota.per_day, ends_ms))
    if quota.ramp is not None:
        allowed = ramp_allowance(quota.ramp, today)
        if allowed is not None:
            name = f"domain:{sender_domain(account.settings) or account.name}"
            limits.append(DayLimit(name, day, allowed, ends_ms))
    return tuple(limits)


def ramp_allowance(ramp: Ramp, today: date) -> int | None:
    """How many messages a sender that is warmed up may send on a day; None: it is warm."""
    days = max(0, (today - date.fromisoformat(ramp.since)) // timedelta(days=1))
    allowed = float(ramp.start)
    for _ in range(days):
        allowed *= ramp.factor
        if allowed >= ramp.until:
            return None
    return int(allowed)


def sender_domain(settings: Mapping[str, Any]) -> str:
    """The domain of an account's `from` address; "" where it has none."""
    sender = settings.get("from", "")
    if isinstance(sender, dict):
        sender = cast("Mapping[str, object]", sender).get("email", "")
    return str(sender).rpartition("@")[2].rstrip("> ").lower()


def _closed_ms(throttled: Sequence[Outcome], learned: RateLimits | None) -> float:
    """For how long a vendor takes nothing: by its answers, or by its headers where these say that nothing is left."""
    closed_s = max((one.retry_after_s for one in throttled), default=0.0)
    if learned is not None and learned.remaining == 0 and learned.reset_s:
        closed_s = max(closed_s, learned.reset_s)
    return 1000 * min(closed_s, LONGEST_CLOSED_S)


def _is_news(learned: RateLimits, told: RateLimits | None) -> bool:
    """Whether a vendor has said something else since that changes what may be sent."""
    if learned is told:
        return False
    if learned.remaining == 0:
        return bool(learned.reset_s)
    return learned.per_s is not None and (told is None or learned.per_s != told.per_s)
