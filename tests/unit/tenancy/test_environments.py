"""Which accounts a test may use: sandboxes, whatever the tenant has set up."""

from __future__ import annotations

import msgspec
import pytest

from clarion.contracts.channels import CHANNELS
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.environments import accounts_for, cap_scope
from clarion.tenancy.model import Tenant
from clarion.tenancy.provision import sandbox_of

TENANT = b"t" * 16
SMTP = ProviderConfig("mail", TENANT, "smtp", "email", settings={}, credentials={})
OWN = sandbox_of(TENANT, "email", name="slow-sandbox")
OFF = ProviderConfig("sandbox-sms", TENANT, "sandbox", "sms", settings={}, credentials={}, enabled=False)
TAKEN = ProviderConfig("sandbox-email", TENANT, "smtp", "email", settings={}, credentials={})


def config(*providers: ProviderConfig) -> TenantConfig:
    return TenantConfig(Tenant(TENANT, "shop"), 1, {}, {}, list(providers))


@pytest.mark.parametrize("providers", [[], [SMTP], [OWN, SMTP], [SMTP, OFF], [TAKEN], [OFF]])
def test_every_channel_has_a_sandbox_and_nothing_else(providers: list[ProviderConfig]):
    accounts = accounts_for(config(*providers), is_test=True)
    assert {account.kind for account in accounts} == {"sandbox"}
    assert {account.channel for account in accounts} == set(CHANNELS)
    assert all(account.enabled and account.tenant_id == TENANT for account in accounts)


def test_a_live_delivery_goes_to_a_sandbox_while_nothing_else_is_set_up():
    assert accounts_for(config(OWN, OFF), is_test=False) == [OWN, OFF]


@pytest.mark.parametrize("enabled", [True, False])
def test_beside_an_account_that_sends_no_sandbox_takes_live_deliveries(*, enabled: bool):
    """Nor does it while that account is switched off: they wait, instead of being told as sent."""
    smtp = msgspec.structs.replace(SMTP, enabled=enabled)
    text = sandbox_of(TENANT, "sms", name="sandbox-sms")
    assert accounts_for(config(smtp, OWN, text), is_test=False) == [smtp, text]


def test_the_tenants_own_sandbox_is_used_as_it_is_set_up():
    assert [a for a in accounts_for(config(SMTP, OWN), is_test=True) if a.channel == "email"] == [OWN]


def test_an_implied_sandbox_is_no_account_of_the_tenant():
    accounts = accounts_for(config(TAKEN, OFF), is_test=True)
    assert {account.name for account in accounts}.isdisjoint({TAKEN.name, OFF.name})


def test_a_test_takes_none_of_a_users_daily_places():
    assert cap_scope("marketing", is_test=False) == "marketing"
    assert cap_scope("marketing", is_test=True) != "marketing"
