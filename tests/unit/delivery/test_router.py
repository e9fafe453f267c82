"""The tables of a process: of this region's accounts, made anew with the settings, refreshed beside the messages."""

from __future__ import annotations

from clarion.delivery.circuits import Circuits
from clarion.delivery.figures import Figures
from clarion.delivery.model import Outcome
from clarion.delivery.prices import unit_price
from clarion.delivery.router import MAX_ORDERS, OLD_MS, Router
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.model import Tenant
from clarion.tenancy.routing import RoutingPolicy

TENANT = b"t" * 16
NOW = 1_800_000_000_000


def account(name: str, *regions: str, cost_micros: int = 0) -> ProviderConfig:
    return ProviderConfig(
        name, TENANT, "smtp", "email", {}, {}, cost_micros=cost_micros, regions=tuple(regions)
    )


def config(*accounts: ProviderConfig, version: int = 1, policy: RoutingPolicy | None = None) -> TenantConfig:
    routing = {"email": policy} if policy else {}
    return TenantConfig(Tenant(TENANT, "shop"), version, {}, {}, list(accounts), routing=routing)


def a_router() -> Router:
    return Router("us-east-1", Figures(), Circuits(), unit_price)


def order(router: Router, chosen: TenantConfig, now_ms: int = NOW, destination: str = "*") -> list[str]:
    found = router.table(chosen, now_ms, is_test=False).ranking("email", destination, urgent=False)
    return found.all_for(0) if found else []


def test_accounts_of_other_regions_are_not_asked():
    both = config(account("here", "us-east-1", "eu-west-1"), account("there", "eu-west-1"), account("all"))
    assert sorted(order(a_router(), both)) == ["all", "here"]
    assert order(a_router(), config(account("there", "eu-west-1"))) == []


def test_what_is_for_tests_is_apart():
    router, chosen = a_router(), config(account("real"))
    found = router.table(chosen, NOW, is_test=True).ranking("email", "*", urgent=False)
    assert found is not None
    assert found.all_for(0) == ["sandbox-email"]
    assert order(router, chosen) == ["real"]


def test_new_settings_hold_at_once_and_figures_from_the_next_second_on():
    router, accounts = a_router(), (account("a"), account("b", cost_micros=100))
    assert order(router, config(*accounts)) == ["a", "b"]
    policy = RoutingPolicy("ordered", order=("b",))
    assert order(router, config(*accounts, version=2, policy=policy)) == ["b", "a"]

    chosen = config(*accounts, version=3)
    assert order(router, chosen) == ["a", "b"]
    router.figures.observe((TENANT, "a"), [Outcome(b"", "transient")] * 100, (), 20)
    router.figures.take(NOW)
    assert order(router, chosen, NOW + 100) == ["a", "b"]
    router.refresh(NOW + 1000)
    assert order(router, chosen, NOW + 1001) == ["b", "a"]


def test_a_process_that_does_not_refresh_makes_its_tables_anew_all_the_same():
    router, chosen = a_router(), config(account("a"))
    first = router.table(chosen, NOW, is_test=False)
    assert router.table(chosen, NOW + OLD_MS - 1, is_test=False) is first
    assert router.table(chosen, NOW + OLD_MS, is_test=False) is not first
    assert router.table(chosen, NOW - 5000, is_test=False) is not first, "a clock that went back"


def test_a_refresh_makes_the_orders_that_were_asked_for_and_drops_what_nobody_used():
    router, chosen = a_router(), config(account("a"), account("b"))
    for destination in ("gmail.com", "outlook.com"):
        order(router, chosen, destination=destination)
    assert router.refresh(NOW + 1000) == 2
    order(router, chosen, NOW + 1001, "gmail.com")
    assert router.refresh(NOW + 2000) == 1
    assert router.refresh(NOW + 3000) == 0
    assert order(router, chosen, NOW + 3001) == ["a", "b"]


def test_a_refresh_has_an_end():
    router, chosen = a_router(), config(account("a"), account("b"))
    for number in range(MAX_ORDERS + 1):
        order(router, chosen, destination=f"d{number}.example")
    assert router.refresh(NOW + 1000) == 0
    assert order(router, chosen, NOW + 1001) == ["a", "b"]


def test_accounts_that_are_asked_are_in_use():
    router = a_router()
    router.table(config(account("a")), NOW, is_test=False)
    assert router.circuits.in_use() == [(TENANT, "a")]
