"""Routing: by weight, stable, around what is broken, and waiting when all is."""

from __future__ import annotations

from collections import Counter

from clarion.contracts.work import WorkItem, delivery_id_for
from clarion.delivery.circuits import Circuits
from clarion.delivery.model import Outcome
from clarion.delivery.route import WAIT_SPREAD_MS, Assignment, RouteTable, choose
from clarion.kernel.ids import make_ids, split_ids
from clarion.tenancy.config import ProviderConfig

TENANT = b"t" * 16
NOW = 1_800_000_000_000


def provider(name: str, weight: int = 1, *, channel: str = "email", enabled: bool = True) -> ProviderConfig:
    return ProviderConfig(name, TENANT, "sandbox", channel, {}, {}, weight=weight, enabled=enabled)


def items(count: int, priority: int = 5) -> list[WorkItem]:
    ids = split_ids(make_ids(count, NOW))
    return [WorkItem(delivery_id_for(ident, 0), TENANT, "email", priority) for ident in ids]


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
    table = RouteTable([provider("a", 3), provider("b", 1)])
    counts = Counter(names_of(choose(items(20_000), table, Circuits(), NOW)))
    assert 0.73 < counts["a"] / 20_000 < 0.77
    assert counts["a"] + counts["b"] == 20_000


def test_two_equal_providers_share_although_all_ids_of_a_channel_end_alike():
    counts = Counter(
        names_of(choose(items(10_000), RouteTable([provider("a"), provider("b")]), Circuits(), NOW))
    )
    assert 0.45 < counts["a"] / 10_000 < 0.55


def test_a_delivery_goes_to_the_same_provider_each_time_whatever_the_order_of_the_configs():
    work = items(500)
    configs = [provider("a", 2), provider("b", 5), provider("c", 1)]
    once = choose(work, RouteTable(configs), Circuits(), NOW)
    again = choose(work[::-1], RouteTable(configs[::-1]), Circuits(), NOW + 5000)
    assert names_of(once) == names_of(again)[::-1]


def test_what_failed_once_goes_to_a_provider_that_works_and_is_no_probe_again():
    table, work = RouteTable([provider("a"), provider("b")]), items(100)
    first = choose(work, table, Circuits(), NOW)
    late = NOW + 5_000

    for circuits in (broken("a"), one_failure("a")):
        again = choose(work, table, circuits, late, retried={item.delivery_id: () for item in work})
        assert names_of(again) == ["b"] * 100
    recovering = broken("a", "b")
    recovering.observe((TENANT, "b"), [Outcome(b"d" * 16, "sent")], late)
    few = choose(work, table, recovering, late, retried={item.delivery_id: () for item in work})
    assert set(names_of(few)) == {"b", ""}, (
        "the others wait for what comes back, and do not knock at the other"
    )
    healthy = choose(work, table, Circuits(), late, retried={item.delivery_id: () for item in work})
    assert names_of(healthy) == names_of(first)


def test_only_what_was_broken_moves_and_it_is_spread_over_the_others():
    work = items(9_000)
    table = RouteTable([provider("a"), provider("b"), provider("c")])
    before = names_of(choose(work, table, Circuits(), NOW))
    after = names_of(choose(work, table, broken("b"), NOW))
    assert all(now == was for was, now in zip(before, after, strict=True) if was != "b")
    moved = Counter(now for was, now in zip(before, after, strict=True) if was == "b")
    assert set(moved) == {"a", "c"}
    assert 0.4 < moved["a"] / moved.total() < 0.6


def test_disabled_providers_and_those_of_other_channels_and_tenants_are_not_asked():
    table = RouteTable(
        [
            provider("off", 100, enabled=False),
            provider("text", 100, channel="sms"),
            ProviderConfig("theirs", b"u" * 16, "sandbox", "email", {}, {}, weight=100),
        ]
    )
    assert choose(items(3), table, Circuits(), NOW) == [Assignment()] * 3


def test_weight_0_stands_by_until_the_others_are_broken():
    table = RouteTable([provider("main", 1), provider("spare", 0)])
    assert set(names_of(choose(items(200), table, Circuits(), NOW))) == {"main"}
    assert set(names_of(choose(items(200), table, broken("main"), NOW))) == {"spare"}
    assert set(names_of(choose(items(200), RouteTable([provider("spare", 0)]), Circuits(), NOW))) == {"spare"}


def test_with_all_broken_everyone_waits_spread_over_some_seconds():
    table = RouteTable([provider("a"), provider("b")])
    assignments = choose(items(2_000), table, broken("a", "b"), NOW)
    waits = [assignment.wait_until_ms - NOW for assignment in assignments]
    assert set(names_of(assignments)) == {""}
    assert min(waits) >= 1000
    assert max(waits) <= 1000 + WAIT_SPREAD_MS
    assert len({wait // 1000 for wait in waits}) == WAIT_SPREAD_MS // 1000


def test_an_urgent_one_waits_for_the_next_probe_and_no_longer():
    table = RouteTable([provider("a")])
    assert choose(items(1, priority=0), table, broken("a"), NOW) == [Assignment(wait_until_ms=NOW + 1000)]


def test_a_batch_makes_no_more_than_one_probe_of_a_broken_provider_a_second():
    table, circuits = RouteTable([provider("a"), provider("b")]), broken("a", "b")
    for second in range(1, 6):
        sent = Counter(names_of(choose(items(1_000), table, circuits, NOW + 1000 * second)))
        assert sent["a"] <= 1
        assert sent["b"] <= 1
        assert sent["a"] + sent["b"] == 2
