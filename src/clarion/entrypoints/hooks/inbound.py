"""Text messages that come in: heard, done, and confirmed once, in the language of who wrote."""

from __future__ import annotations

from typing import Final

from clarion.adapters.providers.registry import find_text_answer
from clarion.adapters.providers.webhooks import Inbound
from clarion.audience.users import address_hmac
from clarion.compliance.hear import Heard, Understood, hear
from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.api.routing import Call
from clarion.entrypoints.api.suppressions import ports_of
from clarion.entrypoints.hooks.phrases import choose_speech
from clarion.tenancy.config import ProviderConfig, TenantConfig

XML: Final = b"application/xml"


async def take_text(call: Call, account: ProviderConfig, inbound: Inbound) -> str:
    """Do what a text says; what to answer ("": nothing). When this returns, no later send disregards a STOP.

    Raises Transient.
    """
    region = call.services.gateway.region
    if not inbound.sender.startswith("+"):
        return ""
    config = await region.configs.get(account.tenant_id)
    heard = Heard(
        inbound.text,
        address_hmac(account.tenant_id, "sms", inbound.sender, region.sealer),
        region.clock.now_ms(),
        account.name,
        inbound.message_id,
        inbound.intent,
    )
    understood = await hear(config, heard, ports_of(call))
    await call.services.cards.refresh(account.tenant_id, understood.people)
    return "" if inbound.is_answered else confirmation(config, understood)


def answer_text(account: ProviderConfig, inbound: Inbound, text: str) -> Reply | None:
    """The vendor's own form of an answer to a text; None where it takes none with its call."""
    answer = find_text_answer(account.kind)
    return None if answer is None else Reply(200, answer(inbound, text), media=XML)


def confirmation(config: TenantConfig, understood: Understood) -> str:
    """The one text that answers; "" where nothing is to be said. It names the sender, and sells nothing."""
    if not understood.intent or not understood.is_news:
        return ""
    speech = choose_speech(understood.language, config.tenant.language)
    sender = config.tenant.compliance.sender
    name = sender.legal_name or config.tenant.name
    if understood.intent == "help" and sender.contact:
        return speech.text("sms_help_contact", sender=name, contact=sender.contact)
    return speech.text(f"sms_{understood.intent}", sender=name)
