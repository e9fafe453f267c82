"""Unsubscribing and preferences: pages without a login, because the token in their address says who it is.

That is also why a form needs no further token against being sent from elsewhere: who can name the address may use it.
GET never acts. A link in a mail is followed by scanners, previews and prefetches; they do not press buttons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from email.parser import BytesParser
from typing import Final, TypeAlias
from urllib.parse import parse_qs

from clarion.adapters.postgres.outbox import PostgresOutbox
from clarion.compliance.subscriptions import Cell, Source, Subscriber, Via
from clarion.contracts.events import NotificationEvent, derive_event_id
from clarion.contracts.work import channel_of, notification_id_of
from clarion.delivery.links.maker import PREFERENCES_PATH
from clarion.delivery.links.tokens import Claim, LinkKind
from clarion.entrypoints.api.body import read_body
from clarion.entrypoints.api.replies import Page, Reply
from clarion.entrypoints.api.routing import Call, Route, Spec, route
from clarion.entrypoints.hooks import pages
from clarion.entrypoints.hooks.global_privacy import heed_signal
from clarion.entrypoints.hooks.phrases import Speech
from clarion.entrypoints.hooks.tracking import accepted_speech, read_claim
from clarion.kernel.errors import NotFound, Transient
from clarion.kernel.ids import format_id
from clarion.tenancy.config import TenantConfig

MAX_FORM_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 10_000
MAX_AGENT_CHARS: Final = 300
"""Of a `User-Agent`, as evidence."""

_ANSWERS: Final = {200: Page, 404: Page, 503: Page}
PAGE: Final = Spec(tag="links", scope=None, answers=_ANSWERS)
"""A page that is looked at."""

FORM: Final = Spec(tag="links", scope=None, answers=_ANSWERS, problems=(408, 413, 415))
"""A page whose buttons are pressed."""

Fields: TypeAlias = dict[str, list[str]]
Answer: TypeAlias = Callable[[Call, Claim, TenantConfig], Awaitable[Reply]]


async def serve(call: Call, kind: LinkKind, answer: Answer) -> Reply:
    """The answer for who holds a token of this kind."""
    claim = read_claim(call, kind)
    if claim is None:
        return pages.no_such_link(speech_for(call))
    try:
        config = await call.services.gateway.region.configs.get(claim.recipient.tenant_id)
        return await answer(call, claim, config)
    except NotFound:
        return pages.no_such_link(speech_for(call))
    except Transient:
        return pages.come_back_later(speech_for(call))


def speech_for(call: Call, who: Subscriber | None = None, config: TenantConfig | None = None) -> Speech:
    """The language to answer in: her own, what her browser accepts, her tenant's."""
    return accepted_speech(call, who.language if who else "", config.tenant.language if config else "")


async def find_subscriber(call: Call, claim: Claim) -> Subscriber | None:
    """Who holds the token; None where she is gone. Raises Transient."""
    return await call.services.recipients.find(claim.recipient.tenant_id, claim.recipient.user_id)


@route("GET /u/{token}", PAGE)
async def ask_unsubscribe(call: Call) -> Reply:
    """Ask whether to unsubscribe. Changes nothing, however often it is asked."""

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        who = None
        with contextlib.suppress(Transient):  # it is only about the language
            who = await find_subscriber(call, claim)
        return _ask(speech_for(call, who, config), claim, config)

    return await serve(call, LinkKind.UNSUBSCRIBE, answer)


@route("POST /u/{token}", FORM)
async def unsubscribe(call: Call) -> Reply:
    """Unsubscribe, with one click (RFC 8058) or from the page.

    The body is a form: `List-Unsubscribe=One-Click`, or `scope=category` or `scope=all`. Whatever else it is, it means
    the message's own category on its channel. When this is answered with 200, no later send disregards it.
    """
    fields = await read_form(call)

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        scope = fields.get("scope", [""])[-1]
        cell = None if scope == "all" else _stopped(claim)
        who = await find_subscriber(call, claim)
        speech = speech_for(call, who, config)
        if who is not None:
            await heed_signal(call, who.tenant_id, who.user_id)
        if cell and not _can_stop(cell, config):
            return _ask(speech, claim, config)
        if who is not None:
            via: Via = "unsubscribe_page" if scope else "one_click"
            if await call.services.subscriptions.unsubscribe(who, cell, _source(call, claim, via)):
                await call.services.cards.refresh(who.tenant_id, [who.external_id])
                await _tell(call, claim)
        stopped = (title_of(speech, cell[0], config), cell[1]) if cell else None
        return pages.say_unsubscribed(speech, config.tenant.name, stopped, _preferences_url(call, claim))

    return await serve(call, LinkKind.UNSUBSCRIBE, answer)


@route("GET /p/{token}", PAGE)
async def read_preferences(call: Call) -> Reply:
    """Show what its reader gets, by category and channel."""

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        return await _show(call, claim, config, is_saved=False)

    return await serve(call, LinkKind.PREFERENCES, answer)


@route("POST /p/{token}", FORM)
async def write_preferences(call: Call) -> Reply:
    """Keep what its reader wants.

    The body is a form: `kind` names a category that was shown (`*`: anything at all), `on` a box that is ticked
    (`email:news`). What was shown and is not ticked is refused. `everything=off` refuses all, whatever is ticked.
    """
    fields = await read_form(call)

    async def answer(call: Call, claim: Claim, config: TenantConfig) -> Reply:
        who = await find_subscriber(call, claim)
        if who is None:
            return pages.no_such_link(speech_for(call, None, config))
        await heed_signal(call, who.tenant_id, who.user_id)
        if "off" in fields.get("everything", []):
            source = _source(call, claim, "preference_page")
            if await call.services.subscriptions.unsubscribe(who, None, source):
                await _tell(call, claim)
        else:
            await _choose(call, claim, who, config, fields)
        await call.services.cards.refresh(who.tenant_id, [who.external_id])
        return await _show(call, claim, config, is_saved=True)

    return await serve(call, LinkKind.PREFERENCES, answer)


async def _choose(call: Call, claim: Claim, who: Subscriber, config: TenantConfig, fields: Fields) -> None:
    """Keep what was ticked, of what was shown."""
    services = call.services
    shown = set(fields.get("kind", []))
    choices = await services.subscriptions.choices(who, config.categories)
    preferences = await services.subscriptions.choose(
        who,
        [choice for choice in choices if choice.category in shown],
        pages.cells_of(fields.get("on", [])),
        _source(call, claim, "preference_page"),
    )
    if preferences != who.preferences:
        await services.recipients.write_preferences(who, preferences)


async def _show(call: Call, claim: Claim, config: TenantConfig, *, is_saved: bool) -> Reply:
    who = await find_subscriber(call, claim)
    speech = speech_for(call, who, config)
    if who is None:
        return pages.no_such_link(speech)
    choices = await call.services.subscriptions.choices(who, config.categories)
    return pages.show_preferences(speech, config.tenant.name, choices, config.categories, is_saved=is_saved)


def _ask(speech: Speech, claim: Claim, config: TenantConfig) -> Reply:
    category, channel = cell = _stopped(claim)
    kind = title_of(speech, category, config)
    return pages.ask_to_unsubscribe(
        speech, config.tenant.name, kind, channel, can_stop=_can_stop(cell, config)
    )


def title_of(speech: Speech, category: str, config: TenantConfig) -> str:
    """What a reader calls a category."""
    words, _ = pages.words_of(speech, category, config.categories)
    return words.title


async def _tell(call: Call, claim: Claim) -> None:
    """Say on the log that a message was answered by unsubscribing, as a vendor's report of it does.

    What she wants is kept by now, and holds whether or not this is heard.
    """
    region, to = call.services.gateway.region, claim.recipient
    event = NotificationEvent(
        event_id=derive_event_id(to.delivery_id, "unsubscribed"),
        type="unsubscribed",
        at_ms=region.clock.now_ms(),
        tenant_id=to.tenant_id,
        notification_id=notification_id_of(to.delivery_id),
        delivery_id=to.delivery_id,
        user_id=to.user_id,
        category=claim.detail,
        channel=channel_of(to.delivery_id) or "email",
    )
    with contextlib.suppress(Transient):
        await PostgresOutbox(region.pools).append([event])


def _source(call: Call, claim: Claim, via: Via) -> Source:
    return Source(via, format_id(claim.recipient.delivery_id), agent_of(call))


def _can_stop(cell: Cell, config: TenantConfig) -> bool:
    known = config.categories.get(cell[0])
    return known is None or known.class_ != "transactional"


def _stopped(claim: Claim) -> Cell:
    """The category and the channel of the message that the link came with."""
    return claim.detail, channel_of(claim.recipient.delivery_id) or "email"


def _preferences_url(call: Call, claim: Claim) -> str:
    """Beside the page that we are on, whatever host it is reached by."""
    region = call.services.gateway.region
    head = region.links.head(claim.recipient, region.clock.now_ms())
    return ".." + PREFERENCES_PATH + region.links.sign(LinkKind.PREFERENCES, head)


def agent_of(call: Call) -> str:
    """What her browser says it is."""
    return call.trip.headers.get(b"user-agent", b"").decode("latin-1")[:MAX_AGENT_CHARS]


async def read_form(call: Call) -> Fields:
    """The fields of the body, in whichever of the two ways a form is written. Raises HttpError: too large, too slow."""
    headers = call.trip.headers
    raw = await read_body(call.request.receive, headers, MAX_FORM_BYTES, call.services.patience)
    media = headers.get(b"content-type", b"")
    if media.lower().startswith(b"multipart/form-data"):
        return _multipart(media, raw)
    try:
        return parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}


def _multipart(media: bytes, raw: bytes) -> Fields:
    parsed = BytesParser().parsebytes(b"Content-Type: %b\r\n\r\n%b" % (media, raw))
    fields: Fields = {}
    for part in parsed.walk():
        name = part.get_param("name", header="content-disposition")
        value = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes):
            fields.setdefault(name, []).append(value.decode(errors="replace").strip())
    return fields


ROUTES: Final[tuple[Route, ...]] = (ask_unsubscribe, unsubscribe, read_preferences, write_preferences)
