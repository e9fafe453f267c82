"""Orders by score, price and policy, pins, trials, and the note that a trace shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest

from clarion.audience.model import DeviceToken
from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.circuits import Circuits
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import HALF_LIFE_MS, Estimate, Figures
from clarion.delivery.model import Message, Outcome
from clarion.delivery.prices import unit_price
from clarion.delivery.ranking import Assignment, Sight
from clarion.delivery.route import TRIAL_SHARE, Ask, RouteTable, choose
from clarion.delivery.scores import URGENT, WEIGHTS, score
from clarion.kernel.ids import make_ids, split_ids
from clarion.tenancy.config import ProviderConfig
from clarion.tenancy.routing import Pin, RoutingPolicy
from clarion.tenancy.spending import Prices

TENANT = b"t" * 16
NOW = 1_800_000_000_000
GOOD = 1000
COST = RoutingPolicy("cost_optimized")


def account(name: str, cost_micros: int = 0, *, channel: str = "sms", weight: int = 1) -> ProviderConfig:
    return ProviderConfig(name, TENANT, "sandbox", channel, {}, {}, cost_micros=cost_micros, weight=weight)


class World:
    """Accounts with a past: `lived` says how they did."""

    def __init__(self, *accounts: ProviderConfig, policy: RoutingPolicy | None = None) -> None:
        self.accounts = accounts
        self.policies: Mapping[str, RoutingPolicy] = {} if policy is None else {accounts[0].channel: policy}
        self.figures = Figures()
        self.circuits = Circuits()

    def lived(
        self, name: str, *, destination: str = ANYWHERE, errors: float = 0.0, took_ms: float = 20
    ) -> None:
        bad = round(GOOD * errors)
        outcomes = [Outcome(b"d" * 16, "transient")] * bad + [Outcome(b"d" * 16, "sent")] * (GOOD - bad)
        self.figures.observe((TENANT, name), outcomes, [destination] * GOOD, took_ms)
        self.figures.take(NOW)

    def table(self) -> RouteTable:
        return RouteTable(self.accounts, self.policies, Sight(self.figures, unit_price, NOW))

    def ask(
        self, count: int = 1, destination: str = "DE", *, category: str = "", priority: int = 5
    ) -> list[Assignment]:
        channel = self.accounts[0].channel
        ids = split_ids(make_ids(count, NOW))
        asks = [
            Ask(WorkItem(delivery_id_for(i, 0), TENANT, channel, priority), destination, category)
            for i in ids
        ]
        return choose(asks, self.table(), self.circuits, NOW)

    def shares(self, count: int = 1000, destination: str = "DE", category: str = "") -> Counter[str]:
        return Counter(found.provider for found in self.ask(count, destination, category=category))

    def best(self, destination: str = "DE", *, priority: int = 5) -> str:
        found = self.table().ranking(self.accounts[0].channel, destination, urgent=priority <= 2)
        assert found is not None
        return found.all_for(0)[0]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("balanced", 0.3 * 0.75 + 0.4 * 0.9 + 0.3 * 0.5),
        ("cost_optimized", 0.2 * 0.75 + 0.3 * 0.9 + 0.5 * 0.5),
    ],
)
def test_the_score_is_the_specified_one(policy: str, expected: float):
    found = Estimate(delivery_rate=0.9, error_rate=0.1, p99_ms=500)
    weights = {str(name): weights for name, weights in WEIGHTS.items()}
    assert score(found, 5_000, weights[policy]) == pytest.approx(expected)
    assert score(found, 5_000, URGENT) == pytest.approx(0.4 * 0.75 + 0.5 * 0.9 + 0.1 * 0.5)
    assert all(one.latency + one.errors + one.cost == pytest.approx(1) for one in WEIGHTS.values())


def test_cost_optimized_takes_the_cheaper_one_and_pays_for_speed_only_when_it_is_urgent():
    world = World(account("cheap", 1_000), account("quick", 6_000), policy=COST)
    world.lived("cheap", took_ms=1200)
    world.lived("quick", took_ms=15)
    assert world.shares() == {"cheap": 1000}
    assert world.best(priority=0) == "quick"


def test_prices_beyond_a_cent_are_told_apart_too():
    world = World(account("dear", 90_000), account("less", 60_000), policy=COST)
    world.lived("dear", took_ms=10)
    world.lived("less", took_ms=300)
    assert world.best() == "less"


def test_cheap_is_no_use_where_it_does_not_work():
    world = World(account("cheap", 1_000), account("dear", 4_000), policy=COST)
    world.lived("cheap", errors=0.7)
    world.lived("dear")
    assert world.best() == "dear"


def test_each_destination_goes_by_its_own_figures_and_price():
    by_country = Prices(2_000, {"FR": 9_000})
    world = World(
        ProviderConfig("a", TENANT, "sandbox", "sms", {}, {}, prices=(by_country,)), account("b", 4_000)
    )
    for where in ("DE", "FR", "US"):
        world.lived("a", destination=where, errors=0.8 if where == "US" else 0.0)
        world.lived("b", destination=where)
    assert [world.best(where) for where in ("DE", "FR", "US")] == ["a", "b", "b"]


def test_prices_change_with_their_day():
    tomorrow = Prices(9_000, from_ms=NOW + 86_400_000)
    world = World(
        ProviderConfig("a", TENANT, "sandbox", "sms", {}, {}, prices=(Prices(1_000), tomorrow)),
        account("b", 4_000),
    )
    later = RouteTable(world.accounts, {}, Sight(world.figures, unit_price, NOW + 86_400_000))
    found = later.ranking("sms", "DE", urgent=False)
    assert world.best() == "a"
    assert found is not None
    assert found.all_for(0)[0] == "b"


def test_what_scores_alike_and_costs_the_same_is_shared_by_weight():
    world = World(account("a", 1_000, weight=3), account("b", 1_000), account("c", 1_100))
    world.lived("a", took_ms=20)
    world.lived("b", took_ms=50)
    shares = world.shares(10_000)
    assert set(shares) == {"a", "b"}
    assert 0.72 < shares["a"] / 10_000 < 0.78


def test_fastest_does_not_ask_what_it_costs():
    world = World(account("slow"), account("quick", 10_000), policy=RoutingPolicy("fastest"))
    world.lived("slow", took_ms=900)
    world.lived("quick", took_ms=15)
    assert world.best() == "quick"


def test_ordered_and_split_do_as_they_are_told():
    accounts = [account("a", 9_000), account("b"), account("c")]
    ordered = World(*accounts, policy=RoutingPolicy("ordered", order=("gone", "c", "a")))
    assert ordered.shares() == {"c": 1000}
    ordered.circuits.observe((TENANT, "c"), [Outcome(b"d" * 16, "transient")] * 5, NOW)
    assert ordered.shares() == {"a": 1000}

    split = World(*accounts, policy=RoutingPolicy("split", split={"a": 5, "b": 95}))
    shares = split.shares(20_000)
    assert set(shares) == {"a", "b"}
    assert 0.04 < shares["a"] / 20_000 < 0.06
    nobody = World(*accounts, policy=RoutingPolicy("split", split={"gone": 1}))
    assert set(nobody.shares()) == {"b"}, "by score, where nobody has a share"


def test_pins_go_before_the_policy_and_only_pins_wait():
    pins = (Pin("b", category="security", only=True), Pin("a", destination="FR"))
    world = World(account("a", 9_000), account("b", 5_000), account("c"), policy=RoutingPolicy(pins=pins))
    assert world.shares(50, category="security") == {"b": 50}
    assert world.shares(50, "FR") == {"a": 50}
    assert world.shares(50) == {"c": 50}
    for name in ("a", "b"):
        world.circuits.observe((TENANT, name), [Outcome(b"d" * 16, "transient")] * 5, NOW)
    assert world.shares(50, "FR") == {"c": 50}
    waiting = world.ask(50, category="security")
    assert {found.provider for found in waiting} == {""}
    assert min(found.wait_until_ms for found in waiting) > NOW


def test_an_only_pin_to_an_account_that_is_gone_finds_nobody():
    world = World(account("a"), policy=RoutingPolicy(pins=(Pin("gone", category="x", only=True),)))
    assert world.ask(category="x") == [Assignment()]


def test_a_few_messages_find_out_whether_the_better_one_is_well_again():
    world = World(account("cheap", 1_000), account("dear", 4_000))
    world.lived("dear")
    world.lived("cheap", errors=0.9)
    assert world.best() == "dear"
    assert set(world.shares(5_000)) == {"dear"}, "its figures are fresh: there is nothing to find out"

    later = RouteTable(world.accounts, {}, Sight(world.figures, unit_price, NOW + 7 * HALF_LIFE_MS))
    world.figures.observe((TENANT, "dear"), [Outcome(b"d" * 16, "sent")] * GOOD, (), 20)
    ids = split_ids(make_ids(20_000, NOW))
    asks = [Ask(WorkItem(delivery_id_for(i, 0), TENANT, "sms", 5), "DE") for i in ids]
    found = choose(asks, later, world.circuits, NOW)
    tried = [one for one in found if one.provider == "cheap"]
    assert 0.7 < len(tried) / (20_000 / TRIAL_SHARE) < 1.3
    assert all(one.note is not None and one.note.reason == "trial" for one in tried)


def test_the_note_says_what_was_compared_and_names_no_persons_domain():
    world = World(account("a", 2_000, channel="email"), account("b", channel="email"))
    (found,) = world.ask(destination="gmail.com")
    assert found.note is not None
    assert (found.note.policy, found.note.reason, found.note.destination) == (
        "balanced",
        "score",
        "gmail.com",
    )
    assert [(one.provider, one.score, one.price_micros) for one in found.note.candidates] == [
        ("b", 1.0, 0),
        ("a", 0.94, 2_000),
    ]
    (private,) = world.ask(destination="ada-lovelace.example")
    assert private.note is not None
    assert private.note.destination == "other"
    assert World(account("a")).ask()[0].note is None, "where there is no choice there is nothing to explain"


def test_a_push_goes_where_its_devices_are():
    accounts = [account("f", channel="push"), account("a", 900, channel="push"), account("w", channel="push")]
    services = {"f": {"fcm"}, "a": {"apns"}, "w": {"webpush"}}
    table = RouteTable(
        accounts, {}, Sight(Figures(), unit_price, NOW), lambda account: services[account.name]
    )
    assert Message(b"d" * 16, TENANT, "push", 1, devices=[DeviceToken("ios", "ab" * 32)]).devices
    found = {
        where: table.ranking("push", where, urgent=False) for where in ("apns", "fcm", "apns+fcm", "other")
    }
    assert {where: one.names + one.rest if one else None for where, one in found.items()} == {
        "apns": ["a"],
        "fcm": ["f"],
        "apns+fcm": ["f", "a"],
        "other": None,
    }
