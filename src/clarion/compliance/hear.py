"""Hearing what somebody answers to a text message: STOP, START, HELP, and whatever looks like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clarion.compliance.keywords import Intent, Keyword, read_keyword
from clarion.compliance.ports import ConsentWord, Holder
from clarion.compliance.suppress import SuppressionPorts
from clarion.compliance.suppression import LIFTED_BY_START, Origin, Target
from clarion.contracts.channels import CHANNEL_INDEX
from clarion.tenancy.config import TenantConfig

SOURCE: Final = "sms_keyword"
"""What stands beside what a text message said."""

MAX_KEPT: Final = 500
"""Characters of a text that are kept as evidence."""

_json: Final = msgspec.json.Encoder()


class Heard(msgspec.Struct, frozen=True):
    """A text as it came. `sender_hmac`: keyed hash of the number that it came from. `at_ms`: UTC milliseconds.

    `intent`: what the vendor took it for ("": it does not say).
    """

    text: str
    sender_hmac: bytes
    at_ms: int
    provider: str
    message_id: str
    intent: Intent | None = None


class Understood(msgspec.Struct, frozen=True):
    """What a text came to. `is_news`: false where it changed nothing, and so needs no confirmation.

    `people`: whose cards are old now; `language`: of who has the number ("": nobody, or unknown).
    """

    intent: Intent | None
    is_news: bool = False
    people: tuple[str, ...] = ()
    language: str = ""


async def hear(config: TenantConfig, heard: Heard, ports: SuppressionPorts) -> Understood:
    """Do what a text says. When this returns, no later send of the region disregards it."""
    keyword = Keyword(heard.intent) if heard.intent else read_keyword(heard.text)
    if keyword is None:
        return Understood(None)
    tenant_id = config.tenant.tenant_id
    key = ("sms", heard.sender_hmac)
    holders = (await ports.store.holders(tenant_id, [key])).get(key, [])
    language = next((holder.language for holder in holders if holder.language), "")
    if keyword.intent == "help":
        return Understood("help", is_news=True, language=language)
    act = _stop if keyword.intent == "stop" else _start
    people, is_news = await act(config, heard, keyword, holders, ports)
    return Understood(keyword.intent, is_news, people, language)


async def _stop(
    config: TenantConfig, heard: Heard, keyword: Keyword, holders: Sequence[Holder], ports: SuppressionPorts
) -> tuple[tuple[str, ...], bool]:
    """End every text; where the tenant chose so, and it is known, only those of the category that she answers."""
    tenant_id = config.tenant.tenant_id
    stopped: Mapping[int, str] = {}
    if config.tenant.compliance.opt_out_scope == "category" and keyword.is_certain:
        answered = await ports.store.last_texted(tenant_id, [one.user_id for one in holders], heard.at_ms)
        stopped = {who: name for who, name in answered.items() if _can_be_refused(config, name)}
    if holders and len(stopped) == len(holders):
        known = await ports.words.consents(list(stopped))
        fresh = {
            who: name
            for who, name in stopped.items()
            if who not in known or not known[who].denied.get(name, 0) >> CHANNEL_INDEX["sms"] & 1
        }
        await _say(tenant_id, heard, [(who, name, False) for who, name in fresh.items()], ports)
        return tuple(one.external_id for one in holders if one.user_id in fresh), bool(fresh)
    target = Target("sms", address_hmac=heard.sender_hmac)
    origin = Origin(SOURCE, review=not keyword.is_certain)
    silenced = await ports.store.silence(tenant_id, [(target, "stop")], origin)
    return silenced.people, silenced.fresh > 0


async def _start(
    config: TenantConfig, heard: Heard, keyword: Keyword, holders: Sequence[Holder], ports: SuppressionPorts
) -> tuple[tuple[str, ...], bool]:
    """Take back what STOP did, and nothing else: whoever never stopped agrees to nothing by it."""
    del keyword
    tenant_id = config.tenant.tenant_id
    target = Target("sms", address_hmac=heard.sender_hmac)
    freed = await ports.store.free(tenant_id, target, LIFTED_BY_START)
    people = set(freed.people)
    words: list[tuple[int, str, bool]] = []
    for holder in holders:
        taken_back = [
            (holder.user_id, record.category, True)
            for record in await ports.words.records(tenant_id, holder.user_id)
            if record.channel == "sms" and not record.consented and record.source == SOURCE
        ]
        words += taken_back
        if taken_back:
            people.add(holder.external_id)
    await _say(tenant_id, heard, words, ports)
    return tuple(sorted(people)), bool(freed.count or words)


def _can_be_refused(config: TenantConfig, category: str) -> bool:
    known = config.categories.get(category)
    return known is not None and known.class_ != "transactional"


async def _say(
    tenant_id: bytes, heard: Heard, words: Sequence[tuple[int, str, bool]], ports: SuppressionPorts
) -> None:
    """Record words of users on text messages of categories, with the text as evidence."""
    if not words:
        return
    kept = {"text": heard.text[:MAX_KEPT], "provider": heard.provider, "message_id": heard.message_id}
    evidence = _json.encode(kept)
    seals = await ports.subjects.seal_evidence(tenant_id, [(who, evidence) for who, _, _ in words])
    said = [
        ConsentWord(who, "sms", name, consented, SOURCE, express=consented, evidence=sealed)
        for (who, name, consented), sealed in zip(words, seals, strict=True)
    ]
    await ports.words.record(tenant_id, said)
