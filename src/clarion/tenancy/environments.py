"""Live and test: what a test credential sends reaches sandboxes only. Everything else is the same for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from clarion.contracts.channels import CHANNELS
from clarion.tenancy.config import ProviderConfig, TenantConfig
from clarion.tenancy.provision import SANDBOX, sandbox_of

IMPLIED_VERSION: Final = 0
"""Of the sandbox that a tenant has without having set it up; those that are stored begin at 1."""

_TEST_SCOPE: Final = "test/"


def accounts_for(config: TenantConfig, *, is_test: bool) -> Sequence[ProviderConfig]:
    """The tenant's accounts through which a delivery may go.

    For a test delivery these are the enabled sandboxes, whatever else is set up; a channel that has none gets one that
    is implied, so that no setting of a tenant can send a test to a person. A live one goes to a sandbox only where the
    channel has no account that sends, be it switched off: what a person should get is never just recorded instead.
    """
    if not is_test:
        real = {account.channel for account in config.providers if account.kind != SANDBOX}
        return [
            account for account in config.providers if account.kind != SANDBOX or account.channel not in real
        ]
    sandboxes = [account for account in config.providers if account.kind == SANDBOX and account.enabled]
    covered = {account.channel for account in sandboxes}
    taken = {account.name for account in config.providers}
    return [*sandboxes, *(_implied(config, channel, taken) for channel in CHANNELS if channel not in covered)]


def _implied(config: TenantConfig, channel: str, taken: set[str]) -> ProviderConfig:
    name = f"{SANDBOX}-{channel}"
    return sandbox_of(
        config.tenant.tenant_id,
        channel,
        name=f"{SANDBOX}-test-{channel}" if name in taken else name,
        version=IMPLIED_VERSION,
    )


def cap_scope(scope: str, *, is_test: bool) -> str:
    """The counter of a frequency cap: a test uses up none of the places that a user has for real messages."""
    return _TEST_SCOPE + scope if is_test else scope
