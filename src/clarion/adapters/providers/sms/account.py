"""Settings that every account with a vendor of text messages has."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clarion.adapters.providers.base import CALL_DEADLINE_S
from clarion.adapters.providers.http.endpoint import Url
from clarion.delivery.model import Capabilities
from clarion.kernel.errors import Invalid
from clarion.tenancy.config import ProviderConfig

ROUNDS: Final = 5
"""Calls a connection in a full batch: enough that the slowest of them does not leave the others waiting."""

ReceiptsUrl = Annotated[str, Meta(pattern=r"\A(https?://[^\s/?#@]+(/[^\s#]*)?)?\Z", max_length=2000)]
Sender = Annotated[str, Meta(pattern=r"\A(\+?[0-9]{3,15}|[A-Za-z0-9][A-Za-z0-9 &._+-]{0,10})\Z")]
"""A number, a short code, or a name of at most 11 characters."""


class SmsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the `settings` of every vendor of text messages may have.

    `base_url`: another endpoint than the vendor's usual one ("": that). `receipts_url`: where the vendor is told to
    send receipts: this installation's public address and what the account shows as `receipts.url` ("": where the
    vendor's own console says). `concurrency`: calls under way at a time. `timeout_s`: how long a batch waits for them.
    """

    base_url: Url = ""
    receipts_url: ReceiptsUrl = ""
    concurrency: Annotated[int, Meta(ge=1, le=200)] = 50
    timeout_s: Annotated[float, Meta(gt=0, le=CALL_DEADLINE_S)] = CALL_DEADLINE_S


def check_channel(config: ProviderConfig) -> None:
    """Raise Invalid where the account is to carry anything but text messages."""
    if config.channel != "sms":
        msg = f"a provider of kind {config.kind} carries sms"
        raise Invalid(msg, "channel")


def single_call_capabilities(settings: SmsSettings, *, echoes_id: bool) -> Capabilities:
    """Those of a vendor that takes one message a call. `echoes_id`: its receipts name our delivery."""
    calls = settings.concurrency
    return Capabilities(
        "sms", max_batch=ROUNDS * calls, concurrency=calls, portion=calls, echoes_id=echoes_id
    )
