"""`arbitrage`: a day of text messages, routed by live price and health, against every fixed way of sending them.

**The day is simulated**: no recording of a real one is at hand. Four made-up accounts, four countries, three changes
of price and two brownouts: in the morning one account fails half of its calls and is slow, in the afternoon another
takes all and delivers two of three. Prices are near real list prices for texts. What an account would have done with a
message is drawn once, so that every way of sending meets the same luck.

The router is the real one (figures, breakers, orders made once a second, price book) on a clock of its own. It is told
of a call's end at once, and of what arrived 20 s later. Against it: each account alone, tried again a minute later and
after three; and each order of the four, where a failure goes on to the next at once. Beside the bar: the best order a
person could have chosen for each country by the morning's prices.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import permutations
from typing import Final, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from bench.harness import Result, finish, say
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.circuits import Circuits
from clarion.delivery.figures import Figures
from clarion.delivery.model import Outcome
from clarion.delivery.prices import unit_price
from clarion.delivery.route import Ask
from clarion.delivery.router import Router
from clarion.kernel.ids import make_ids, split_ids
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import Tenant
from clarion.tenancy.routing import RoutingPolicy
from clarion.tenancy.spending import Prices

MESSAGES: Final = 400_000
DAY_S: Final = 86_400
HOUR_S: Final = 3_600
ATTEMPTS: Final = 4
RECEIPT_S: Final = 20
COUNTRIES: Final = ("US", "GB", "FR", "IN")
SHARES: Final = (0.40, 0.25, 0.20, 0.15)
NAMES: Final = ("amber", "birch", "cedar", "dune")
MORNING: Final = {
    "amber": {"US": 7_700, "GB": 38_000, "FR": 65_000, "IN": 30_000},
    "birch": {"US": 8_100, "GB": 35_000, "FR": 70_000, "IN": 36_000},
    "cedar": {"US": 7_900, "GB": 41_000, "FR": 60_000, "IN": 28_000},
    "dune": {"US": 9_000, "GB": 44_000, "FR": 68_000, "IN": 40_000},
}
"""Prices of a segment, in millionths of a dollar."""

CHANGES: Final = ((6, "amber", "US", 8_300), (12, "cedar", "FR", 72_000), (18, "birch", "GB", 42_000))
"""Hour, account, country, new price."""

FAILING: Final = ("amber", 9.0, 10.5, 0.5)
"""Account, hours, share of the calls that fail; the others take SLOW_MS."""

LOSING: Final = ("cedar", 15.0, 17.0, 0.35)
"""Account, hours, share of the messages that are taken and do not arrive."""

USUAL_FAILURES: Final = 0.003
USUAL_LOSSES: Final = 0.015
USUAL_MS: Final = (80.0, 120.0, 95.0, 60.0)
SLOW_MS: Final = 4_000.0

_TENANT: Final = b"t" * 16
_DAWN_MS: Final = 1_800_000_000_000

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


class Day(msgspec.Struct, frozen=True):
    """What comes, and what becomes of it. `at_s` and `country` by message; `luck` by message, account and draw.

    The draws of a message with an account: an attempt each, and the last for whether it arrives.
    """

    at_s: Floats
    country: Ints
    luck: Floats


class Bill(msgspec.Struct, frozen=True):
    """What a way of sending came to."""

    dollars: float
    arrived: float


def run(messages: int = MESSAGES) -> Result:
    """Send the day every way."""
    day = make_day(messages)
    ours = route(day)
    alone = {name: send_fixed(day, [number], (0, 60, 180)) for number, name in enumerate(NAMES)}
    orders = {
        " ".join(NAMES[number] for number in order): send_fixed(day, order, (0,) * ATTEMPTS)
        for order in permutations(range(len(NAMES)))
    }
    best = send_by_country(day)
    others = alone | orders
    cheapest = min(others, key=lambda name: others[name].dollars)
    is_cheaper = all(ours.dollars < bill.dollars for bill in others.values())
    no_worse = all(ours.arrived >= bill.arrived for bill in others.values())
    say(f"routed  ${ours.dollars:,.0f}, {ours.arrived:.2%} arrived")
    for name in (*alone, cheapest):
        say(f"{name:24} ${others[name].dollars:,.0f}, {others[name].arrived:.2%} arrived")
    say(f"{'best order by country':24} ${best.dollars:,.0f}, {best.arrived:.2%} arrived")
    return finish(
        Result(
            "arbitrage",
            round(ours.dollars, 2),
            "$ a simulated day",
            "cheaper than each account and each order, and no fewer arrive than by any of them",
            is_cheaper and no_worse,
            baseline=round(others[cheapest].dollars, 2),
            ratio=round(ours.dollars / others[cheapest].dollars, 4),
            detail={
                "input": "simulated: see the bench's own words",
                "messages": messages,
                "arrived": round(ours.arrived, 5),
                "cheapest_fixed_way": cheapest,
                "most_arrived_otherwise": round(max(bill.arrived for bill in others.values()), 5),
                "alone": {name: msgspec.to_builtins(bill) for name, bill in alone.items()},
                "orders": {name: msgspec.to_builtins(bill) for name, bill in orders.items()},
                "best_order_by_country": msgspec.to_builtins(best),
            },
        )
    )


def make_day(messages: int) -> Day:
    """The simulated input: the same each time."""
    chance = np.random.default_rng(2026)
    at_s = np.sort(chance.uniform(0, DAY_S, messages))
    country = chance.choice(len(COUNTRIES), messages, p=SHARES)
    return Day(at_s, country, chance.uniform(size=(messages, len(NAMES), ATTEMPTS + 1)))


def prices_at(number: int, country: Ints, at_s: Floats) -> Floats:
    """What an account asks for each message, in micros."""
    name = NAMES[number]
    found = np.array([MORNING[name][code] for code in COUNTRIES], np.float64)[country]
    for hour, whose, where, price in CHANGES:
        if whose == name:
            found[(country == COUNTRIES.index(where)) & (at_s >= hour * HOUR_S)] = price
    return found


def takes(number: int, at_s: Floats, draw: Floats) -> Bools:
    """Whether an account takes each message, by its draw."""
    name, begins, ends, share = FAILING
    failing = np.full(len(at_s), USUAL_FAILURES)
    if name == NAMES[number]:
        failing[(at_s >= begins * HOUR_S) & (at_s < ends * HOUR_S)] = share
    return draw >= failing


def arrives(number: int, at_s: Floats, draw: Floats) -> Bools:
    """Whether what an account took arrives, by its draw."""
    name, begins, ends, share = LOSING
    losing = np.full(len(at_s), USUAL_LOSSES)
    if name == NAMES[number]:
        losing[(at_s >= begins * HOUR_S) & (at_s < ends * HOUR_S)] = share
    return draw >= losing


def send_fixed(day: Day, order: Sequence[int], after_s: Sequence[float]) -> Bill:
    """Send everything the same way: along the order, and again from its beginning, an attempt at each of `after_s`."""
    open_ = np.ones(len(day.at_s), np.bool_)
    dollars, arrived = 0.0, 0
    for attempt, delay_s in enumerate(after_s):
        number = order[attempt % len(order)]
        at_s = day.at_s + delay_s
        taken = open_ & takes(number, at_s, day.luck[:, number, attempt])
        dollars += float(prices_at(number, day.country, at_s)[taken].sum()) / 1e6
        arrived += int((arrives(number, at_s, day.luck[:, number, -1]) & taken).sum())
        open_ &= ~taken
    return Bill(round(dollars, 2), arrived / len(day.at_s))


def send_by_country(day: Day) -> Bill:
    """As by the order of the morning's prices in each country, by somebody who never looks again."""
    dollars, arrived = 0.0, 0.0
    for place, code in enumerate(COUNTRIES):
        mine = day.country == place
        order = sorted(range(len(NAMES)), key=lambda number: MORNING[NAMES[number]][code])
        bill = send_fixed(Day(day.at_s[mine], day.country[mine], day.luck[mine]), order, (0,) * ATTEMPTS)
        dollars += bill.dollars
        arrived += bill.arrived * float(mine.mean())
    return Bill(round(dollars, 2), arrived)


class _Routed:
    """The real router in the simulated day."""

    def __init__(self, day: Day) -> None:
        self.router = Router("us-east-1", Figures(), Circuits(), unit_price)
        accounts = [_account(number) for number in range(len(NAMES))]
        routing = {"sms": RoutingPolicy("cost_optimized")}
        self.config = TenantConfig(Tenant(_TENANT, "bench"), 1, {}, {}, accounts, routing=routing)
        count = range(len(NAMES))
        draws = range(ATTEMPTS)
        at_s, luck = day.at_s, day.luck
        self._country: list[int] = day.country.tolist()
        self._takes: list[list[list[bool]]] = [
            [takes(number, at_s, luck[:, number, draw]).tolist() for draw in draws] for number in count
        ]
        self._arrives: list[list[bool]] = [
            arrives(number, at_s, luck[:, number, -1]).tolist() for number in count
        ]
        self._price: list[list[float]] = [prices_at(number, day.country, at_s).tolist() for number in count]
        self._receipts: deque[tuple[float, str, str, bool]] = deque()
        self.micros = 0.0
        self.arrived = 0

    def send(self, message: int, item: WorkItem, at_s: float) -> None:
        """Send one message, past what fails."""
        destination = COUNTRIES[self._country[message]]
        now_ms = _DAWN_MS + int(at_s * 1000)
        tried: list[str] = []
        while len(tried) < ATTEMPTS:
            table = self.router.table(self.config, now_ms, is_test=False)
            ask = Ask(item, destination, tried=tried or None)
            name = table.assign(ask, self.router.circuits, now_ms).provider
            if not name or name in tried:
                return
            number = NAMES.index(name)
            taken = self._takes[number][len(tried)][message]
            self._observe(number, destination, now_ms, at_s, taken=taken)
            if taken:
                self.micros += self._price[number][message]
                self.arrived += self._arrives[number][message]
                self._receipts.append((at_s + RECEIPT_S, name, destination, self._arrives[number][message]))
                return
            tried.append(name)

    def _observe(self, number: int, destination: str, now_ms: int, at_s: float, *, taken: bool) -> None:
        whose, begins, ends, _ = FAILING
        is_slow = whose == NAMES[number] and begins * HOUR_S <= at_s < ends * HOUR_S
        key = (_TENANT, NAMES[number])
        outcomes = [Outcome(b"", "sent" if taken else "transient")]
        self.router.circuits.observe(key, outcomes, now_ms)
        self.router.figures.observe(key, outcomes, [destination], SLOW_MS if is_slow else USUAL_MS[number])

    def second(self, at_s: int) -> None:
        """What a worker does each second."""
        while self._receipts and self._receipts[0][0] <= at_s:
            _, name, destination, arrived = self._receipts.popleft()
            key = (_TENANT, name)
            self.router.figures.observe_receipts(key, destination, delivered=arrived, lost=not arrived)
        now_ms = _DAWN_MS + at_s * 1000
        self.router.figures.take(now_ms)
        self.router.refresh(now_ms)


def _account(number: int) -> ProviderConfig:
    name = NAMES[number]
    prices = [Prices(None, MORNING[name])]
    for hour, whose, where, price in CHANGES:
        if whose == name:
            prices.append(Prices(None, {**prices[-1].by_country, where: price}, _DAWN_MS + hour * 3_600_000))
    return ProviderConfig(name, _TENANT, "sandbox", "sms", {}, {}, prices=tuple(prices))


def route(day: Day) -> Bill:
    """Send the day through the router."""
    routed = _Routed(day)
    ids = split_ids(make_ids(len(day.at_s), _DAWN_MS))
    second = 0
    instants: list[float] = day.at_s.tolist()
    for message, (ident, at_s) in enumerate(zip(ids, instants, strict=True)):
        while second < at_s:
            routed.second(second)
            second += 1
        routed.send(message, WorkItem(delivery_id_for(ident, 2), _TENANT, "sms", 5), at_s)
    return Bill(round(routed.micros / 1e6, 2), routed.arrived / len(day.at_s))
