"""Bounces and complaints of an SMTP account: mail that came back, handed in as it is."""

from __future__ import annotations

from clarion.adapters.providers.smtp.dsn import read_report
from clarion.adapters.providers.standard_webhooks import check_standard
from clarion.adapters.providers.webhooks import Fetch, WebhookCall, WebhookRead
from clarion.tenancy.config import ProviderConfig


async def read_smtp(call: WebhookCall, account: ProviderConfig, fetch: Fetch, /) -> WebhookRead:
    """The mail in the body (`message/rfc822`), signed with the account's secret. `WebhookReader`."""
    del account, fetch
    replay_key = check_standard(call)
    return WebhookRead(read_report(call.raw, call.now_ms), replay_key)
