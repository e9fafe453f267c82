"""From a configuration to the provider of the interface that it names."""

from __future__ import annotations

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.vonage.account import read_account
from clarion.adapters.providers.vonage.messages_api import MessagesApiProvider
from clarion.adapters.providers.vonage.provider import VonageProvider
from clarion.adapters.providers.vonage.sms_api import SmsApiProvider
from clarion.tenancy.config import ProviderConfig


def build_vonage(config: ProviderConfig, outside: Outside) -> VonageProvider:
    """An account with Vonage. Raises Invalid with the path of a wrong setting."""
    account = read_account(config)
    if account.settings.api == "sms":
        return SmsApiProvider(config, account, outside)
    return MessagesApiProvider(config, account, outside)
