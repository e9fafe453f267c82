"""The provider of kind `vonage`: what both of its interfaces have in common."""

from __future__ import annotations

from clarion.adapters.providers.base import Outside
from clarion.adapters.providers.sms.provider import TextProvider
from clarion.adapters.providers.vonage.account import Account
from clarion.tenancy.config import ProviderConfig


class VonageProvider(TextProvider):
    """One account with Vonage: a call a message, whose delivery is echoed by receipts as the client's reference."""

    opt_outs = frozenset({"rcpt_7", "rcpt_1050", "rcpt_1240"})

    def __init__(self, config: ProviderConfig, account: Account, outside: Outside) -> None:
        super().__init__(config, account.settings, outside, echoes_id=True)
        self._account = account
        self._sender = account.settings.sender.removeprefix("+")
