"""Settings that every account with a vendor of e-mail has."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S, Outside
from clarion.adapters.providers.http.endpoint import Url, endpoint_of
from clarion.adapters.providers.mail.letter import Party, read_party, read_sender
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig


class MailSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the `settings` of every vendor of e-mail may have.

    `from` and `reply_to` are addresses with or without a name. `base_url`: another endpoint than the vendor's usual one
    ("": that). `concurrency`: calls under way at a time. `timeout_s`: how long a batch waits for them.
    """

    sender: str = msgspec.field(name="from")
    reply_to: str = ""
    base_url: Url = ""
    concurrency: Annotated[int, Meta(ge=1, le=200)] = 20
    timeout_s: Annotated[float, Meta(gt=0, le=CALL_DEADLINE_S)] = CALL_DEADLINE_S


class MailAccount(msgspec.Struct, frozen=True):
    """All that it takes to write calls: who sends, and where calls go (`endpoint`: without a slash at its end)."""

    sender: Party
    reply_to: Party | None
    endpoint: str
    concurrency: int
    timeout_s: float
    outside: Outside


def read_mail_account(
    config: ProviderConfig, settings: MailSettings, usual_endpoint: str, outside: Outside
) -> MailAccount:
    """The account of checked settings. Raises Invalid with the path of what is wrong."""
    if config.channel != "email":
        raise Invalid(f"a provider of kind {config.kind} carries email", "channel")
    return MailAccount(
        read_sender(settings.sender),
        read_party(settings.reply_to, "settings.reply_to"),
        endpoint_of(settings.base_url, usual_endpoint),
        settings.concurrency,
        settings.timeout_s,
        outside,
    )
