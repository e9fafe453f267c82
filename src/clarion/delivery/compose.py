"""Composing: a job, its user's profile and context, and its template become a message."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import msgspec
from msgspec.structs import replace

from clarion.audience.model import SealedProfile
from clarion.audience.seals import SealedOf
from clarion.contracts.channels import Channel
from clarion.contracts.commands import Personalization
from clarion.delivery.conclude import Closing, Rule, close
from clarion.delivery.links.maker import LinkMaker, MessageLinks, has_one_click
from clarion.delivery.links.tokens import Recipient
from clarion.delivery.model import COLLAPSE_BYTES, Job, Message
from clarion.delivery.ports import ContextReader, ProfileOpener, TemplateKey, TemplateReader
from clarion.kernel.clock import Clock
from clarion.kernel.errors import Transient
from clarion.templates import (
    InlineContent,
    Rendered,
    Renderer,
    RenderFailure,
    RenderItem,
    TemplateVersion,
    build_variables,
    choose_locale,
    inline_content,
    locale_name,
)
from clarion.tenancy.config import TenantConfig

_decode_data: Final = msgspec.json.Decoder(dict[str, Any]).decode
_decode_personalization: Final = msgspec.json.Decoder(Personalization).decode
_PLAIN: Final = b'{"enabled":true,"context":{}}'
_ENABLED: Final = Personalization()


class ComposePorts(msgspec.Struct, frozen=True):
    """The outside, as composing uses it."""

    profiles: ProfileOpener
    contexts: ContextReader
    templates: TemplateReader
    renderer: Renderer
    links: LinkMaker
    clock: Clock


class MessageComposer:
    """`Composer`: opens profiles, reads contexts and templates once a batch each, then renders."""

    def __init__(self, ports: ComposePorts) -> None:
        self._ports = ports

    async def compose(
        self, jobs: Sequence[Job], configs: Mapping[bytes, TenantConfig]
    ) -> list[Message | Closing]:
        """A message per job, or how the job ends: `failed`, naming the missing address or variable."""
        ports = self._ports
        profiles = await ports.profiles.open_profiles(
            [SealedOf(job.user_id, job.item.tenant_id, job.sealed, job.devices) for job in jobs]
        )
        keys = {_key(job) for job in jobs if job.template}
        versions = await ports.templates.read(keys) if keys else {}
        contexts = await self._read_contexts(jobs, versions)
        now_ms = ports.clock.now_ms()
        results: list[Message | Closing | None] = [None] * len(jobs)
        items: list[RenderItem] = []
        places: list[tuple[int, SealedProfile, MessageLinks]] = []
        for i, (job, profile) in enumerate(zip(jobs, profiles, strict=True)):
            source = versions.get(_key(job)) if job.template else inline_content(_decode_data(job.payload))
            problem = _problem(job, profile, source)
            if profile is None or source is None or problem is not None:
                results[i] = close(job, "failed", problem or _GONE, now_ms)
                continue
            config = configs[job.item.tenant_id]
            links = self._links(job, config, now_ms)
            said = links.variables() if isinstance(source, TemplateVersion) and source.uses_links else {}
            variables = _variables(job, profile, contexts.get(job.user_id, {}), config, said)
            locale = _locale(job, source, config)
            channel = cast("Channel", job.item.channel)
            items.append(RenderItem(job.item.tenant_id, source, channel, variables, locale))
            places.append((i, profile, links))
        made = zip(places, items, ports.renderer.render_batch(items), strict=True)
        for (i, profile, links), item, rendered in made:
            job, locale = jobs[i], _locale_name(item)
            if isinstance(rendered, RenderFailure):
                results[i] = close(job, "failed", _describe(rendered, locale), now_ms)
                continue
            message = _message(job, profile, rendered, locale)
            results[i] = _linked(message, job, configs[job.item.tenant_id], links)
        return [result for result in results if result is not None]

    def _links(self, job: Job, config: TenantConfig, now_ms: int) -> MessageLinks:
        recipient = Recipient(job.item.tenant_id, job.item.delivery_id, job.user_id)
        return self._ports.links.of(recipient, job.category, config.tenant.public_url, now_ms)

    async def _read_contexts(
        self, jobs: Sequence[Job], versions: Mapping[TemplateKey, TemplateVersion]
    ) -> dict[int, dict[str, Any]]:
        """The stored contexts of users whose template asks for any; without Valkey, personalisation does without."""
        asking = {
            job.user_id
            for job in jobs
            if job.template and (version := versions.get(_key(job))) is not None and version.uses_context
        }
        if not asking:
            return {}
        users = sorted(asking)
        try:
            return dict(zip(users, await self._ports.contexts.read(users), strict=True))
        except Transient:
            return {}


_GONE: Final = Rule("user_gone", "the user or her data key was deleted after the accept")


def _key(job: Job) -> TemplateKey:
    return (job.item.tenant_id, job.template, job.template_version)


def _problem(
    job: Job, profile: SealedProfile | None, source: TemplateVersion | InlineContent | None
) -> Rule | None:
    if profile is None:
        return _GONE
    if source is None:
        return Rule("template_gone", f"template {job.template!r} version {job.template_version} is not there")
    address = {"email": profile.email, "sms": profile.phone, "push": profile.device_tokens}
    if not address.get(job.item.channel):
        return Rule("unreachable", f"the user has no {job.item.channel} address any more")
    return None


def _variables(
    job: Job,
    profile: SealedProfile,
    stored: dict[str, Any],
    config: TenantConfig,
    links: dict[str, str],
) -> dict[str, Any]:
    data = _decode_data(job.payload)
    wanted = _ENABLED if job.personalization == _PLAIN else _decode_personalization(job.personalization)
    tenant = {"name": config.tenant.name}
    if not wanted.enabled:
        return build_variables(data, {}, {}, tenant, links)
    user = {
        **profile.attributes,
        "id": job.external_id,
        "email": profile.email,
        "phone": profile.phone,
        "timezone": job.timezone,
        "language": job.language,
        "country": job.country,
    }
    return build_variables(data, user, {**stored, **wanted.context}, tenant, links)


def _locale(job: Job, source: TemplateVersion | InlineContent, config: TenantConfig) -> str:
    """Which of a template's languages a user gets; "": its own, or it has no other."""
    if not isinstance(source, TemplateVersion) or not source.locales:
        return ""
    return choose_locale(source, job.language, config.tenant.language)


def _locale_name(item: RenderItem) -> str:
    """What a trace calls the language of a message; "" where its template has one only."""
    return locale_name(item.source.resolved, item.locale) if isinstance(item.source, TemplateVersion) else ""


def _message(job: Job, profile: SealedProfile, rendered: Rendered, locale: str) -> Message:
    to = {"email": profile.email, "sms": profile.phone}.get(job.item.channel, "")
    return Message(
        delivery_id=job.item.delivery_id,
        tenant_id=job.item.tenant_id,
        channel=job.item.channel,
        attempt=job.attempts + 1,
        to=to,
        devices=profile.device_tokens if job.item.channel == "push" else [],
        subject=rendered.subject,
        html=rendered.html,
        text=rendered.text,
        title=rendered.title,
        body=rendered.body,
        data=rendered.data,
        collapse_key=_collapse_key(job.collapse_key or rendered.collapse_key),
        locale=locale,
        shape=f"{job.template}:{job.template_version}:{locale}" if job.template else "",
        priority=job.item.priority,
        expires_ms=job.expires_ms,
    )


def _linked(message: Message, job: Job, config: TenantConfig, links: MessageLinks) -> Message:
    """The message with what its category asks of its links; as it is where that is nothing."""
    category = config.categories.get(job.category)
    if category is None or message.channel != "email":
        return message
    if has_one_click(category):
        message = replace(message, headers=links.headers())
    if category.tracking and config.tenant.tracking:
        message = replace(message, html=links.track(message.html, category.tracking))
    return message


def _collapse_key(key: str) -> str:
    """As every vendor takes it; the same for the same key. What is too long, or not ASCII, becomes its hash."""
    if len(key) <= COLLAPSE_BYTES and key.isascii() and key.isprintable():
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def _describe(failure: RenderFailure, locale: str) -> Rule:
    part = f"{failure.part} ({locale})" if locale else failure.part
    where = f"{part}, line {failure.line}" if failure.line else part
    variable = f" ({failure.variable})" if failure.variable else ""
    return Rule(f"template_{failure.kind}", f"{where}: {failure.detail}{variable}")
