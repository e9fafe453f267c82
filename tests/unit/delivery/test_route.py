"""Routing: by weight, stable, around what is broken, and waiting when all is."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.circuits import Circuits
from clarion.delivery.destinations import ANYWHERE
from clarion.delivery.figures import Figures
from clarion.delivery.model import Outcome
from clarion.delivery.prices import unit_price
from clarion.delivery.ranking import Assignment, Sight
from clarion.delivery.route import WAIT_SPREAD_MS, Ask, RouteTable, choose
from clarion.kernel.ids import make_ids, split_ids
from clarion.tenancy.config import ProviderConfig

TENANT = b"t" * 16
NOW = 1_800_000_000_000


def provider(name: str, weight: int = 1, *, channel: str = "email", enabled: bool = True) -> ProviderConfig:
    return ProviderConfig(name, TENANT, "sandbox", channel, {}, {}, weight=weight, enabled=enabled)


def table_of(*accounts: ProviderConfig) -> RouteTable:
    return RouteTable(accounts, {}, Sight(Figures(), unit_price, NOW))


def asks(count: int, priority: int = 5) -> list[Ask]:
    ids = split_ids(make_ids(count, NOW))
    return [Ask(WorkItem(delivery_id_for(ident, 0), TENANT, "email", priority), ANYWHERE) for ident in ids]


def failed(work: list[Ask], *tried: str) -> list[Ask]:
    return [replace(ask, tried=tried) for ask in work]


def broken(*names: str) -> Circuits:
    circuits = Circuits()
    for name in names:
        circuits.observe((TENANT, name), [Outcome(b"d" * 16, "transient")] * 5, NOW)
    return circuits


def one_failure(name: str) -> Circuits:
    circuits = Circuits()
    circuits.observe((TENANT, name), [Outcome(b"d" * 16, "transient")], NOW)
    return circuits


def names_of(assignments: list[Assignment]) -> list[str]:
    return [assignment.provider for assignment in assignments]


def test_the_weights_share_the_deliveries():
    table = table_of(provider("a", 3), provider("b", 1))
    counts = Counter(names_of(choose(asks(20_000), table, Circuits(), NOW)))
    assert 0.73 < counts["a"] / 20_000 < 0.77
    assert counts["a"] + counts["b"] == 20_000


def test_two_equal_providers_share_although_all_ids_of_a_channel_end_alike():
    counts = Counter(names_of(choose(asks(10_000), table_of(provider("a"), provider("b")), Circuits(), NOW)))
    assert 0.45 < counts["a"] / 10_000 < 0.55


def test_a_delivery_goes_to_the_same_provider_each_time_whatever_the_order_of_the_configs():
    work = asks(500)
    configs = [provider("a", 2), provider("b", 5), provider("c", 1)]
    once = choose(work, table_of(*configs), Circuits(), NOW)
    again = choose(work[::-1], table_of(*configs[::-1]), Circuits(), NOW + 5000)
    assert names_of(once) == names_of(again)[::-1]


def test_what_failed_once_goes_to_a_provider_that_works_and_is_no_probe_again():
    table, work = table_of(provider("a"), provider("b")), asks(100)
    first = choose(work, table, Circuits(), NOW)
    late = NOW + 5_000

    for circuits in (broken("a"), one_failure("a")):
        again = choose(failed(work), table, circuits, late)
        assert names_of(again) == ["b"] * 100
    recovering = broken("a", "b")
    recovering.observe((TENANT, "b"), [Outcome(b"d" * 16, "sent")], late)
    few = choose(failed(work), table, recovering, late)
    assert set(names_of(few)) == {"b", ""}, (
        "the others wait for what comes back, and do not knock at the other"
    )
    healthy = choose(failed(work), table, Circuits(), late)
    assert names_of(healthy) == names_of(first)


def test_only_what_was_broken_moves_and_it_is_spread_over_the_others():
    work = asks(9_000)
    table = table_of(provider("a"), provider("b"), provider("c"))
    before = names_of(choose(work, table, Circuits(), NOW))
    after = names_of(choose(work, table, broken("b"), NOW))
    assert all(now == was for was, now in zip(before, after, strict=True) if was != "b")
    moved = Counter(now for was, now in zip(before, after, strict=True) if was == "b")
    assert set(moved) == {"a", "c"}
    assert 0.4 < moved["a"] / moved.total() < 0.6


def test_disabled_providers_and_those_of_other_channels_are_not_asked():
    table = table_of(
        provider("off", 100, enabled=False),
        provider("text", 100, channel="sms"),
    )
    assert choose(asks(3), table, Circuits(), NOW) == [Assignment()] * 3


def test_weight_0_stands_by_until_the_others_are_broken():
    table = table_of(provider("main", 1), provider("spare", 0))
    assert set(names_of(choose(asks(200), table, Circuits(), NOW))) == {"main"}
    assert set(names_of(choose(asks(200), table, broken("main"), NOW))) == {"spare"}
    assert set(names_of(choose(asks(200), table_of(provider("spare", 0)), Circuits(), NOW))) == {"spare"}


def test_with_all_broken_everyone_waits_spread_over_some_seconds():
    table = table_of(provider("a"), provider("b"))
    assignments = choose(asks(2_000), table, broken("a", "b"), NOW)
    waits = [assignment.wait_until_ms - NOW for assignment in assignments]
    assert set(names_of(assignments)) == {""}
    assert min(waits) >= 1000
    assert max(waits) <= 1000 + WAIT_SPREAD_MS
    assert len({wait // 1000 for wait in waits}) == WAIT_SPREAD_MS // 1000


def test_an_urgent_one_waits_for_the_next_probe_and_no_longer():
    table = table_of(provider("a"))
    assert choose(asks(1, priority=0), table, broken("a"), NOW) == [Assignment(wait_until_ms=NOW + 1000)]


def test_a_batch_makes_no_more_than_one_probe_of_a_broken_provider_a_second():
    table, circuits = table_of(provider("a"), provider("b")), broken("a", "b")
    for second in range(1, 6):
        sent = Counter(names_of(choose(asks(1_000), table, circuits, NOW + 1000 * second)))
        assert sent["a"] <= 1
        assert sent["b"] <= 1
        assert sent["a"] + sent["b"] == 2
