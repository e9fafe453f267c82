"""Double opt-in: the page that a confirmation link leads to, and its button, which is the confirmation.

GET never acts: a link in a mail is followed by scanners and previews, and what they follow is nobody's consent.
"""

from __future__ import annotations

from typing import Final

from clarion.compliance.consent import Pending
from clarion.compliance.double_opt_in import ConfirmationPorts, confirm, is_pending_or_done
from clarion.compliance.model import ANY_CATEGORY
from clarion.delivery.links.maker import CONFIRM_PATH
from clarion.delivery.links.tokens import DAY_MS, Claim, LinkKind, Recipient
from clarion.entrypoints.api.replies import Reply
from clarion.entrypoints.api.routing import Call, Route, route
from clarion.entrypoints.hooks import pages
from clarion.entrypoints.hooks.phrases import Speech
from clarion.entrypoints.hooks.subscriptions import (
    FORM,
    PAGE,
    agent_of,
    find_subscriber,
    read_form,
    serve,
    speech_for,
    title_of,
)
from clarion.tenancy.config import TenantConfig


def confirmation_url(call: Call, asked: Pending, base_url: str) -> str:
    """The link with which a user confirms what was asked for in her name. `base_url` has no slash at its end."""
    region = call.services.gateway.region
    recipient = Recipient(call.tenant_id, asked.request_id, asked.user_id)
    head = region.links.head(recipient, region.clock.now_ms())
    detail = f"{asked.channel}:{asked.category}".encode()
    return base_url + CONFIRM_PATH + region.links.sign(LinkKind.CONFIRM, head, detail)


@route("GET /c/{token}", PAGE)
async def ask_confirmation(call: Call) -> Reply:
    """Ask whether she wants what was asked for in her name. Changes nothing, however often it is asked."""

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        asked = _asked(claim)
        who = await find_subscriber(call, claim)
        speech = speech_for(call, who, config)
        if who is None or not await is_pending_or_done(claim.recipient.tenant_id, asked, _ports(call)):
            return pages.no_such_link(speech)
        return pages.ask_to_confirm(speech, config.tenant.name, _kind(speech, asked, config), asked.channel)

    return await serve(call, LinkKind.CONFIRM, answer)


@route("POST /c/{token}", FORM)
async def confirm_consent(call: Call) -> Reply:
    """Confirm it. Whatever the body is; a second time changes nothing, not even after an opt-out."""
    await read_form(call)

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        asked = _asked(claim)
        who = await find_subscriber(call, claim)
        speech = speech_for(call, who, config)
        evidence = {"user_agent": agent_of(call), "ip_address": _address(call)}
        if who is None or not await confirm(claim.recipient.tenant_id, asked, evidence, _ports(call)):
            return pages.no_such_link(speech)
        await call.services.cards.refresh(who.tenant_id, [who.external_id])
        return pages.say_confirmed(speech, config.tenant.name, _kind(speech, asked, config), asked.channel)

    return await serve(call, LinkKind.CONFIRM, answer)


def _asked(claim: Claim) -> Pending:
    channel, _, category = claim.detail.partition(":")
    return Pending(claim.recipient.delivery_id, claim.recipient.user_id, channel, category)


def _kind(speech: Speech, asked: Pending, config: TenantConfig) -> str:
    if asked.category == ANY_CATEGORY:
        return speech.text("anything")
    return title_of(speech, asked.category, config)


def _ports(call: Call) -> ConfirmationPorts:
    region = call.services.gateway.region
    # A day ahead of what this process takes for now: no word of the store's clock is left out.
    return ConfirmationPorts(region.seals, region.consents, region.consents, region.clock.now_ms() + DAY_MS)


def _address(call: Call) -> str:
    client = call.request.client
    return client.host if client else ""


ROUTES: Final[tuple[Route, ...]] = (ask_confirmation, confirm_consent)
